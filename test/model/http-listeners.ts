import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '../../client/src/deadline.ts';
import { EventParser, type StreamedEvent } from '../support/event-parser.ts';
import { type ModelListener, type Story, Teller } from './record.ts';
import type { ModelListenerOptions } from './socket-listener.ts';

/** Who has not heard a byte for so long asks again. Milliseconds. */
const SILENCE = 4500;
/** Between two requests. Milliseconds. */
const PAUSE = 100;
/** Seconds that a long-poll waits, and events that it takes. */
const WAIT = 2;
const LIMIT = 20;

/** Follows the log by requests, each with the position that the one before came to. */
abstract class HttpListener implements ModelListener {
  protected readonly teller: Teller;
  protected epoch: string | undefined;
  readonly #options: ModelListenerOptions;
  #topics: readonly string[] | undefined;
  #request = new AbortController();
  #stopped = false;

  constructor(options: ModelListenerOptions) {
    this.#options = options;
    this.teller = new Teller(options.name, options.user.id);
    this.#topics = options.topics();
  }

  get story(): Story {
    return this.teller.story;
  }

  get position(): number | undefined {
    return this.teller.position;
  }

  get openedAt(): number {
    return this.teller.openedAt;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#request.abort();
  }

  /** Asks again, now and then for other topics. */
  stir(): Promise<void> {
    const { steady, random, topics } = this.#options;
    if (!steady && random.chance(0.5)) this.#topics = topics();
    this.#request.abort();
    return Promise.resolve();
  }

  /** One request, and all that is answered to it. It may throw whatever breaks it. */
  protected abstract follow(query: string, position: number): Promise<void>;

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#request = new AbortController();
      try {
        await (this.position === undefined ? this.#begin() : this.#follow(this.position));
      } catch {
        // Whatever it was: what it has is right, and it asks for what follows.
      }
      await pause(PAUSE);
    }
  }

  #follow(position: number): Promise<void> {
    this.teller.open(this.#topics);
    const topics = this.#topics ? `&topics=${encodeURIComponent(this.#topics.join(','))}` : '';
    return this.follow(`after=${position}&epoch=${this.epoch ?? ''}${topics}`, position);
  }

  async #begin(): Promise<void> {
    const { headers, status } = await this.ask('/posts?limit=1', inFull);
    if (status !== 200) return;
    this.epoch = headers.get('x-feed-epoch') ?? '';
    this.teller.begin(this.#topics, Number(headers.get('x-feed-seq')));
  }

  /** @param read what is awaited of the answer */
  protected ask<T>(path: string, read: (answer: Response) => Promise<T>): Promise<T> {
    const { url, user } = this.#options;
    const headers = { authorization: `Bearer ${user.token}` };
    return this.whileItLasts(async (signal) => read(await fetch(url + path, { headers, signal })));
  }

  /**
   * Waits until something has come, it is silent for too long, or the listener is stirred: also where `fetch` does not
   * obey its signal, as that of Node when the signal has been collected (nodejs/undici#3644).
   */
  protected whileItLasts<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(SILENCE, this.#request.signal, act);
  }
}

async function inFull(answer: Response): Promise<{ status: number; headers: Headers; text: string }> {
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

/** Server-Sent Events. */
export class StreamListener extends HttpListener {
  protected override async follow(query: string): Promise<void> {
    const { status, body } = await this.ask(`/events/stream?${query}`, (answer) => Promise.resolve(answer));
    if (status !== 200 || !body) return;
    const reader = body.getReader();
    try {
      const parser = new EventParser();
      for (;;) {
        const { value } = (await this.whileItLasts(() => reader.read())) as { value?: Uint8Array };
        if (!value) return;
        for (const event of parser.read(value)) this.#take(event);
      }
    } finally {
      // Whether or not it can still be told to the node.
      reader.cancel().catch(() => undefined);
    }
  }

  #take({ id, event, data }: StreamedEvent): void {
    if (event === 'reset') this.story.resets.push(data);
    if (event === 'reset' || event.startsWith('session:')) return;
    const [, seq] = id.split(':');
    const { prev, ...payload } = JSON.parse(data) as { prev: number };
    if (event === 'feed:head') this.teller.head({ seq: Number(seq), prev });
    else this.teller.event(event, payload, { seq: Number(seq), prev });
  }
}

interface Page {
  head: number;
  events: { seq: number; prev: number; name: string; data: Record<string, unknown> }[];
}

/** `GET /events`, with and without waiting. */
export class PollListener extends HttpListener {
  #polls = 0;

  protected override async follow(query: string): Promise<void> {
    this.#polls += 1;
    const wait = this.#polls % 3 === 0 ? '' : `&wait=${WAIT}`;
    const { status, text } = await this.ask(`/events?${query}&limit=${LIMIT}${wait}`, inFull);
    if (status === 410) this.story.resets.push(text);
    if (status !== 200) return;
    const { head, events } = JSON.parse(text) as Page;
    for (const { name, data, ...position } of events) this.teller.event(name, data, position);
    if (events.length === 0) this.teller.moved(head);
  }
}
