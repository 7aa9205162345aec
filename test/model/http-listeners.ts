import { setTimeout as pause } from 'node:timers/promises';
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
    const { headers, status } = await this.ask('/posts?limit=1');
    if (status !== 200) return;
    this.epoch = headers.get('x-feed-epoch') ?? '';
    this.teller.begin(this.#topics, Number(headers.get('x-feed-seq')));
  }

  protected ask(path: string): Promise<Response> {
    const { url, user } = this.#options;
    const signal = this.#request.signal;
    return fetch(url + path, { headers: { authorization: `Bearer ${user.token}` }, signal });
  }

  /** Ends the request if nothing comes for a while. */
  protected hush(): NodeJS.Timeout {
    const request = this.#request;
    return setTimeout(() => request.abort(), SILENCE);
  }
}

/** Server-Sent Events. */
export class StreamListener extends HttpListener {
  protected override async follow(query: string): Promise<void> {
    let silence = this.hush();
    try {
      const { status, body } = await this.ask(`/events/stream?${query}`);
      if (status !== 200 || !body) return;
      const parser = new EventParser();
      for await (const piece of body) {
        clearTimeout(silence);
        silence = this.hush();
        for (const event of parser.read(piece as Uint8Array)) this.#take(event);
        // An `id` by itself moves the position too.
        const [, seq] = parser.lastEventId.split(':');
        if (seq !== undefined && Number(seq) > (this.position ?? 0)) this.teller.moved(Number(seq));
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #take({ id, event, data }: StreamedEvent): void {
    if (event === 'reset') this.story.resets.push(data);
    if (event === 'reset' || event.startsWith('session:')) return;
    const [, seq] = id.split(':');
    const { prev, ...payload } = JSON.parse(data) as { prev: number };
    this.teller.event(event, payload, { seq: Number(seq), prev });
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
    const silence = this.hush();
    try {
      const answer = await this.ask(
        `/events?${query}&limit=${LIMIT}${this.#polls % 3 === 0 ? '' : `&wait=${WAIT}`}`,
      );
      if (answer.status === 410) this.story.resets.push(await answer.text());
      if (answer.status !== 200) return;
      const { head, events } = (await answer.json()) as Page;
      for (const { name, data, ...position } of events) this.teller.event(name, data, position);
      if (events.length === 0) this.teller.moved(head);
    } finally {
      clearTimeout(silence);
    }
  }
}
