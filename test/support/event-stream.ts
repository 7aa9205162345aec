import { EventParser, type StreamedEvent } from './event-parser.ts';
import { until } from './waiting.ts';
import type { Api } from './world.ts';

/** A stream that a test has opened, with what has come on it; without `feed:head`, which comes with time. */
export class EventStream {
  readonly headers: Headers;
  readonly #abort: AbortController;
  readonly #events: StreamedEvent[] = [];
  #ended = false;
  #taken = 0;

  private constructor(response: Response, abort: AbortController) {
    this.headers = response.headers;
    this.#abort = abort;
    if (!response.body) throw new Error('a stream without a body');
    void this.#read(response.body);
  }

  /** @throws if the answer is no stream */
  static async open(api: Api, query = '', headers: Record<string, string> = {}): Promise<EventStream> {
    const abort = new AbortController();
    const response = await fetch(`${api.url}/events/stream${query}`, {
      headers: { authorization: `Bearer ${api.token ?? ''}`, ...headers },
      signal: abort.signal,
    });
    if (response.status !== 200) throw new Error(`stream: ${response.status} ${await response.text()}`);
    return new EventStream(response, abort);
  }

  /** All that has come, taken or not. */
  get heard(): readonly StreamedEvent[] {
    return this.#events;
  }

  /** The next so many events, once they are there. */
  async take(many: number): Promise<StreamedEvent[]> {
    await until(`${many} events after ${this.#taken}`, () => this.#events.length >= this.#taken + many);
    this.#taken += many;
    return this.#events.slice(this.#taken - many, this.#taken);
  }

  /** Resolves when the server has ended the stream, and nothing more was on it than has been taken. */
  async ended(): Promise<void> {
    await until('the stream to end', () => this.#ended);
    if (this.#events.length > this.#taken) throw new Error('more was sent before the end');
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = new EventParser();
    try {
      for await (const chunk of body)
        this.#events.push(...parser.read(chunk).filter(({ event }) => event !== 'feed:head'));
    } catch {
      // We have closed it, or the server has broken it off: either way it is over.
    }
    this.#ended = true;
  }
}
