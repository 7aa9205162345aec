import type { ServerResponse } from 'node:http';
import type { Senders } from '../queues/queue-limit.ts';

/** How long after its request began an answer may stand there and not be taken. The longest poll takes half of it. Milliseconds. */
const TIME_LIMIT = 60_000;
/** What all answers together may hold that have been given and are still to leave. Bytes. */
const ROOM = 64 * 1024 * 1024;
/** An answer that is no larger, and that the kernel took at once, need not be counted. Bytes. */
const SMALL = 64 * 1024;
/** How often they are looked at. Milliseconds. */
const SWEEP = 1000;

export interface PendingResponsesOptions {
  /** Called for each that was given up: it took too long, or its maxBytes was needed. */
  onAbandoned: (reason: 'time' | 'maxBytes') => void;
  timeLimit?: number;
  maxBytes?: number;
}

interface Waiting {
  bytes: number;
  /** Whom it is for: an address, and a user if one is known. */
  holders: Senders;
}

/**
 * The answers under way. Whoever asks and does not read would have them held for good: Node ends a request that does not
 * come, never an answer that is not taken. So one that has not left a minute after its request began is given up with its
 * connection, and so is, when all of them hold more than there is maxBytes for, the oldest of the address that holds most, and
 * there of the user: a reader who reads is served while others only ask.
 *
 * An answer that stands behind others on its connection (pipelining.ts says which may) hears nothing of the connection's
 * end, for which each sweep looks, and is not late before its turn. Streams of events see for themselves to readers that do not read.
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
    res.once('close', () => this.#forget(res));
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
      if (res.req.socket.destroyed) this.#forget(res);
      else if (began < before && res.socket !== null && !isStream(res)) this.#abandon(res, 'time');
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
  return String(res.getHeader('Content-Type')).startsWith('text/event-stream');
}
