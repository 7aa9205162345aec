import { setTimeout as pause } from 'node:timers/promises';
import type { FeedEvent, ResetReason } from '../../server/contract.ts';
import { HttpListener, type Place } from './http-listener.ts';
import type { ListenerOptions } from './listener.ts';

/** How long the server may wait for an event. Seconds. */
const WAIT = 3;
/** Few, so that an answer can be full. */
const LIMIT = 20;
/** What it does with the events of one answer takes so long. Milliseconds. */
const WORK = 50;

/** A client that asks for the events after its position, and asks again when it has an answer. */
export class PollClient extends HttpListener {
  constructor(options: ListenerOptions) {
    super('poll', options);
  }

  protected override async follow({ seq, epoch }: Place): Promise<void> {
    const answer = await this.ask(
      `/events?after=${seq}&epoch=${epoch}&limit=${LIMIT}&wait=${WAIT}${this.topics}`,
    );
    const pieces: Buffer[] = [];
    for await (const piece of answer) pieces.push(piece as Buffer);
    const told: unknown = JSON.parse(Buffer.concat(pieces).toString());
    if (answer.statusCode === 410) {
      const { head, reason, ...to } = told as { epoch: string; head: number; reason: ResetReason };
      this.reset({ seq: head, epoch: to.epoch }, reason);
      return;
    }
    const page = told as { epoch: string; head: number; events: FeedEvent[] };
    this.resumed({ seq, epoch });
    for (const { name, data, ...at } of page.events)
      this.event(name, data, { seq: at.seq, prev: at.prev, epoch: page.epoch });
    if (page.events.length > 0) await pause(WORK);
    else this.moved({ seq: page.head, prev: seq }, page.epoch);
  }
}
