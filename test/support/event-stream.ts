import { until } from './waiting.ts';
import type { Api } from './world.ts';

export interface StreamedEvent {
  id: string;
  event: string;
  data: string;
}

/** A reader of Server-Sent Events as the HTML standard parses them (9.2.6), as far as our streams use it. */
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
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of body) {
        text += decoder.decode(chunk, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // We have closed it, or the server has broken it off: either way it is over.
    }
    this.#ended = true;
  }

  #take(block: string): void {
    const fields = { id: '', event: '', data: '' };
    for (const line of block.split(/\r\n|\r|\n/)) {
      const [, name, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
      if (name !== undefined) fields[name as keyof typeof fields] += value ?? '';
    }
    if (fields.data !== '') this.#events.push(fields);
  }
}
