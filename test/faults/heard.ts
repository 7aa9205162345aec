import type { FeedEventName, FeedEvents, Position } from '../../server/contract.ts';
import { type ClientHistory, type ClientKind, fingerprint } from './history.ts';
import type { ListenerOptions } from './listener.ts';
import type { Recorder } from './recorder.ts';
import { postIdOf } from '../support/posts.ts';

/** The events that a client hears, in its history. */
export class Heard {
  readonly history: ClientHistory;
  readonly #recorder: Recorder;
  #lastAt: number | undefined;
  #longestSilence = 0;

  constructor(kind: ClientKind, { name, from, recorder }: ListenerOptions) {
    this.#recorder = recorder;
    this.history = {
      client: name,
      kind,
      start: from?.after,
      connections: [],
      deliveries: [],
      tallies: new Map(),
      endOfSession: undefined,
      present: true,
    };
  }

  /** The longest time between two events. Milliseconds. */
  get longestSilence(): number {
    return this.#longestSilence;
  }

  /** An event has come, over the newest connection. */
  event(name: FeedEventName, data: FeedEvents[FeedEventName], { seq, prev }: Position): void {
    const at = Date.now();
    if (this.#lastAt !== undefined) this.#longestSilence = Math.max(this.#longestSilence, at - this.#lastAt);
    this.#lastAt = at;
    this.history.deliveries.push({
      connection: this.history.connections.length - 1,
      at,
      seq,
      prev,
      name,
      id: postIdOf(data) ?? 0,
      hash: fingerprint(name, data),
      redacted: 'redacted' in data,
    });
    this.#recorder.event(seq, name, data);
  }
}
