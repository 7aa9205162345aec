import type { ServerResponse } from 'node:http';
import type { Senders } from '../queues/queue-limit.ts';
import { whenOver } from '../async/response-end.ts';

/**
 * How long after the start of its request a response may stay unread. The longest long-poll takes half of it.
 * Milliseconds.
 */
const TIME_LIMIT = 60_000;
/** The maximum size of all unread responses together. Bytes. */
const ROOM = 64 * 1024 * 1024;
/** An answer that is no larger, and that the kernel took at once, need not be counted. Bytes. */
const SMALL = 64 * 1024;
/** How often they are looked at. Milliseconds. */
const SWEEP = 1000;

export interface PendingResponsesOptions {
  /** Called for each response that was abandoned: it took too long, or its memory was needed. */
  onAbandoned: (reason: 'time' | 'maxBytes') => void;
  timeLimit?: number;
  maxBytes?: number;
}

interface Waiting {
  bytes: number;
  /** The recipient: an address, and a user if known. */
  holders: Senders;
}

/**
 * Backpressure for HTTP responses. Node has a time limit for requests, but none for responses that the client does not
 * read, so they would stay in memory. A response that is not sent a minute after its request began is abandoned with
 * its connection. If all unread responses exceed the memory limit, so is the oldest one of the address (and user) that
 * holds the most: clients that read are served while others only send requests.
 *
 * An answer that stands behind others on its connection (pipelining.ts says which may) is not late before its turn.
 * Streams of events and of lines see for themselves to readers that do not read.
 */
export class PendingResponses {
  readonly #timeLimit: number;
  readonly #maxBytes: number;
  readonly #onAbandoned: PendingResponsesOptions['onAbandoned'];
  /** When their requests began; the oldest first. */
  readonly #underWay = new Map<ServerResponse, number>();
  /** Those that were given and wait to leave; the oldest first. */
  readonly #waiting = new Map<ServerResponse, Waiting>();
  #bytes = 0;
  #sweeping: NodeJS.Timeout | undefined;

  constructor({ onAbandoned, timeLimit = TIME_LIMIT, maxBytes = ROOM }: PendingResponsesOptions) {
    this.#onAbandoned = onAbandoned;
    this.#timeLimit = timeLimit;
    this.#maxBytes = maxBytes;
  }

  start(): void {
    this.#sweeping = setInterval(() => this.#sweep(), Math.min(SWEEP, this.#timeLimit));
  }

  stop(): void {
    clearInterval(this.#sweeping);
  }

  /** Answers that have not left. */
  get count(): number {
    return this.#underWay.size;
  }

  /** What those hold that were given. Bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A request has come: its answer is known from here on. */
  begin(res: ServerResponse): void {
    this.#underWay.set(res, performance.now());
    whenOver(res, () => this.#forget(res));
  }

  /** A request has come whose answer somebody else gives: its bytes are counted when it ends. */
  beginUncounted(res: ServerResponse, holders: () => Senders): void {
    this.begin(res);
    const end = res.end.bind(res) as (...given: unknown[]) => ServerResponse;
    res.end = ((...given: unknown[]) => {
      res.end = end as typeof res.end;
      end(...given);
      this.given(res, res.writableLength, holders);
      return res;
    }) as typeof res.end;
  }

  /** An answer of so many bytes has been given, and nothing will follow it. */
  given(res: ServerResponse, bytes: number, holders: () => Senders): void {
    if ((bytes <= SMALL && res.writableLength === 0) || !this.#underWay.has(res)) return;
    this.#waiting.set(res, { bytes, holders: holders() });
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes) {
      const victim = this.#oldestOfLargest();
      if (!victim) return;
      this.#abandon(victim, 'maxBytes');
    }
  }

  #oldestOfLargest(): ServerResponse | undefined {
    const held = new Map<number | string, number>();
    for (const { bytes, holders } of this.#waiting.values())
      for (const holder of holders) held.set(holder, (held.get(holder) ?? 0) + bytes);
    let victim: ServerResponse | undefined;
    let [most, least] = [0, 0];
    for (const [res, { holders }] of this.#waiting) {
      const sums = holders.map((holder) => held.get(holder) ?? 0);
      const [largest, smallest] = [Math.max(...sums), Math.min(...sums)];
      if (largest < most || (largest === most && smallest <= least)) continue;
      victim = res;
      [most, least] = [largest, smallest];
    }
    return victim;
  }

  #sweep(): void {
    const before = performance.now() - this.#timeLimit;
    for (const [res, began] of this.#underWay) {
      if (began < before && res.socket !== null && !isStream(res)) this.#abandon(res, 'time');
    }
  }

  #abandon(res: ServerResponse, reason: 'time' | 'maxBytes'): void {
    this.#forget(res);
    if (res.req.socket.destroyed) return;
    this.#onAbandoned(reason);
    // Not the answer's own: one that stands behind others has none yet.
    res.req.socket.destroy();
  }

  #forget(res: ServerResponse): void {
    this.#underWay.delete(res);
    const waiting = this.#waiting.get(res);
    if (!waiting) return;
    this.#waiting.delete(res);
    this.#bytes -= waiting.bytes;
  }
}

function isStream(res: ServerResponse): boolean {
  return /^(text\/event-stream|application\/x-ndjson)\b/.test(String(res.getHeader('Content-Type')));
}
