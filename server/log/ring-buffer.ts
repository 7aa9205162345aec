import { containerOf, entityOf, type LogEntry } from './reader.ts';
import { redacted } from './redaction.ts';

/** Dropped entries stay in the array until there are this many of them, and at least an eighth of all. */
const SLACK = 32;

/**
 * The ring buffer: the newest events of the log, contiguous, bounded in number and in bytes. Serves replays without the
 * database.
 */
export class RingBuffer {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #entries: LogEntry[] = [];
  /** Index of the oldest entry kept in `#entries`; what lies before it is dropped in bulk, not one by one. */
  #start = 0;
  #bytes = 0;
  #last: number;
  /** Entity → its newest event here. What came before it of the same entity has been redacted. */
  readonly #newest = new Map<string, number>();
  /** Container → the newest event here that takes the text out of all before it. */
  readonly #erased = new Map<string, number>();

  /** @param position everything up to here came before the ring; the first entry must be the next one. */
  constructor(position: number, maxEntries: number, maxBytes: number) {
    this.#last = position;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /** The newest position. */
  get last(): number {
    return this.#last;
  }

  /** The position after which the ring can serve everything. */
  get floor(): number {
    return this.#last - (this.#entries.length - this.#start);
  }

  /**
   * @throws if the entry is not the next one: serving with a gap would silently break the delivery guarantee.
   */
  push(entry: LogEntry): void {
    if (entry.seq !== this.#last + 1) throw new Error(`ring: ${entry.seq} does not follow ${this.#last}`);
    const entity = entityOf(entry);
    this.#redact(this.#newest.get(entity));
    const container = containerOf(entry);
    if (entry.erasesContainer && container !== undefined) {
      this.#redactContainer(container);
      this.#erased.set(container, entry.seq);
    }
    this.#newest.set(entity, entry.seq);
    this.#entries.push(entry);
    this.#last = entry.seq;
    this.#bytes += entry.json.length;
    while (this.#entries.length - this.#start > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const oldest = this.#entries[this.#start];
      if (!oldest || oldest === entry) break;
      this.#bytes -= oldest.json.length;
      const gone = entityOf(oldest);
      if (this.#newest.get(gone) === oldest.seq) this.#newest.delete(gone);
      const from = containerOf(oldest);
      if (from !== undefined && this.#erased.get(from) === oldest.seq) this.#erased.delete(from);
      this.#start += 1;
    }
    // What has been dropped stays in memory until then.
    if (this.#start > SLACK && this.#start > this.#entries.length / 8) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  /**
   * At most `limit` events that follow a position, in order; undefined if the ring does not reach that far back. Empty
   * if the position is the newest or beyond.
   */
  after(position: number, limit = Infinity): LogEntry[] | undefined {
    if (position < this.floor) return undefined;
    const from = this.#start + (position - this.floor);
    return this.#entries.slice(from, Math.min(from + limit, this.#entries.length));
  }

  /** The event of a number; undefined if it is not here. */
  at(seq: number): LogEntry | undefined {
    return seq > this.floor && seq <= this.#last
      ? this.#entries[this.#start + (seq - this.floor) - 1]
      : undefined;
  }

  /**
   * An event that was read elsewhere, without a text that an event which is here has taken out since. If it was read
   * when `floor` or what is later was the newest position, it is as it is now.
   */
  current(entry: LogEntry): LogEntry {
    const container = containerOf(entry);
    const superseded = this.#newest.get(entityOf(entry)) ?? 0;
    const erased = container === undefined ? 0 : (this.#erased.get(container) ?? 0);
    if (Math.max(superseded, erased) <= entry.seq) return entry;
    const json = redacted(entry.json, entry.redaction);
    return json === entry.json ? entry : { ...entry, json };
  }

  /**
   * Redacts all events of a container, as those of a deleted thread. Few events do so, so it may look at all of them.
   */
  #redactContainer(container: string): void {
    for (let at = this.#start; at < this.#entries.length; at += 1) {
      const entry = this.#entries[at];
      if (entry && containerOf(entry) === container) this.#redact(entry.seq);
    }
  }

  /**
   * Redacts text that a deletion or an edit has removed, also for replays from memory. `number_events` does the same in
   * the database.
   * @param seq of the event that the next one of the same entity supersedes
   */
  #redact(seq: number | undefined): void {
    if (seq === undefined) return;
    const at = this.#start + (seq - this.floor) - 1;
    const entry = this.#entries[at];
    if (!entry) return;
    const json = redacted(entry.json, entry.redaction);
    if (json === entry.json) return;
    this.#bytes += json.length - entry.json.length;
    this.#entries[at] = { ...entry, json };
  }
}
