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

  constructor(kind: ClientKind, { name, from, recorder, view }: ListenerOptions) {
    this.#recorder = recorder;
    this.history = {
      client: name,
      kind,
      view,
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

  /**
   * An event has come, over the newest connection.
   * @param position the client's own; undefined if it does not say
   */
  event(
    name: FeedEventName,
    data: FeedEvents[FeedEventName],
    { seq, prev }: Position,
    position?: number,
  ): void {
    const at = Date.now();
    if (this.#lastAt !== undefined) this.#longestSilence = Math.max(this.#longestSilence, at - this.#lastAt);
    this.#lastAt = at;
    this.history.deliveries.push({
      connection: this.history.connections.length - 1,
      at,
      seq,
      prev,
      position,
      name,
      id: goneId(name, data) ?? postIdOf(data) ?? 0,
      hash: fingerprint(name, data),
      redacted: 'redacted' in data,
    });
    // Who takes some topics alone may be told that a post has left them: that is not what the event says to others.
    if (this.history.view) this.#recorder.deliveries += 1;
    else this.#recorder.event(seq, name, data);
  }
}

/** The post that is gone, or has left the client's topics; undefined if the event tells of something else. */
export function goneId(name: FeedEventName, data: FeedEvents[FeedEventName]): number | undefined {
  return name === 'post:deleted' ? (data as FeedEvents['post:deleted']).id : undefined;
}
