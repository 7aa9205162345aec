import type { FeedEventName, ResetReason } from '../../server/contract.ts';
import { feedEventNames } from '../support/feed-event-names.ts';
import { EventParser, type StreamedEvent } from '../support/event-parser.ts';
import { Broken, HttpListener, type Place } from './http-listener.ts';
import type { ListenerOptions } from './listener.ts';

/**
 * A browser's EventSource: it asks for the same URL again and again, from the second time on with the `Last-Event-ID` that it
 * was given.
 */
export class StreamClient extends HttpListener {
  #path: string | undefined;
  #lastEventId = '';

  constructor(options: ListenerOptions) {
    super('stream', options);
  }

  protected override async follow(position: Place): Promise<void> {
    this.#path ??= `/events/stream?after=${position.seq}&epoch=${position.epoch}${this.topics}`;
    const answer = await this.ask(this.#path, {
      accept: 'text/event-stream',
      ...(this.#lastEventId === '' ? {} : { 'last-event-id': this.#lastEventId }),
    });
    this.resumed(position);
    const parser = new EventParser();
    for await (const piece of answer) {
      for (const event of parser.read(piece as Buffer)) this.#take(event);
      this.#lastEventId = parser.lastEventId || this.#lastEventId;
    }
    throw new Broken('the stream has ended');
  }

  #take({ id, event, data }: StreamedEvent): void {
    const told = JSON.parse(data) as never;
    const [epoch = '', seq] = id.split(':');
    if (event === 'reset') {
      const { reason, ...to } = told as Place & { reason: ResetReason };
      this.reset({ seq: to.seq, epoch: to.epoch }, reason);
    } else if (event === 'feed:head') {
      const { prev } = told as { prev: number };
      this.moved({ seq: Number(seq), prev }, epoch);
    } else if (feedEventNames.includes(event as FeedEventName)) {
      const { prev, ...payload } = told as { prev: number };
      this.event(event as FeedEventName, payload as never, { seq: Number(seq), prev, epoch });
    }
  }
}
