import { containerOf, entityOf, type LogEntry, PAGE_ROWS } from './reader.ts';

/** Text of pages that are kept. Characters. */
const MAX_LENGTH = 32 * 1024 * 1024;
/** How long a page is kept. Milliseconds. */
const MAX_AGE = 10_000;

interface Page {
  entries: readonly LogEntry[];
  length: number;
  readAt: number;
  /** The entities and containers of its events: what comes later may take their text out. */
  subjects: ReadonlySet<string>;
}

/**
 * Pages of the log for many who read the same part of it one after the other, as when all clients of a node come
 * back: each page is read once for all. A page is dropped when an event comes that may take text out of it.
 */
export class SharedPages {
  readonly #read: (after: number, limit: number) => Promise<LogEntry[]>;
  readonly #pages = new Map<number, Page>();
  /** Pages that are being read, and what has come meanwhile that may take text out of them. */
  readonly #reading = new Map<number, { page: Promise<readonly LogEntry[]>; passed: Set<string> }>();
  #length = 0;

  constructor(read: (after: number, limit: number) => Promise<LogEntry[]>) {
    this.#read = read;
  }

  /**
   * Events that follow a position, in order and without a gap; the first is another one than the next if the log does
   * not reach back so far. None at the end of the log.
   */
  async after(position: number): Promise<readonly LogEntry[]> {
    // Pages begin at the same positions for all. A page of much text is shorter, and the next begins where it ends.
    let start = position - (position % PAGE_ROWS);
    for (;;) {
      const entries = await this.#page(start);
      const last = entries.at(-1)?.seq;
      if (last === undefined) return [];
      if (last > position) return entries.filter(({ seq }) => seq > position);
      start = last;
    }
  }

  /** The log has new events. */
  note(entries: readonly LogEntry[]): void {
    if (this.#pages.size === 0 && this.#reading.size === 0) return;
    const subjects = entries.flatMap((entry) => {
      const container = entry.erasesContainer ? containerOf(entry) : undefined;
      return container === undefined ? [entityOf(entry)] : [entityOf(entry), container];
    });
    for (const [start, page] of this.#pages)
      if (subjects.some((subject) => page.subjects.has(subject))) this.#drop(start);
    for (const { passed } of this.#reading.values()) for (const subject of subjects) passed.add(subject);
  }

  /** The database is another one. */
  forget(): void {
    for (const start of [...this.#pages.keys()]) this.#drop(start);
    this.#reading.clear();
  }

  async #page(start: number): Promise<readonly LogEntry[]> {
    const kept = this.#pages.get(start);
    if (kept && performance.now() - kept.readAt < MAX_AGE) return kept.entries;
    const underWay = this.#reading.get(start);
    if (underWay) {
      // It may have been read before what has come since it began, and who comes now comes after that.
      const before = [...underWay.passed];
      const entries = await underWay.page;
      const subjects = subjectsOf(entries);
      return before.some((subject) => subjects.has(subject)) ? this.#page(start) : entries;
    }
    const passed = new Set<string>();
    const page = this.#readPage(start, passed);
    this.#reading.set(start, { passed, page });
    return page;
  }

  async #readPage(start: number, passed: ReadonlySet<string>): Promise<readonly LogEntry[]> {
    const readAt = performance.now();
    try {
      const entries = await this.#read(start, PAGE_ROWS);
      this.#drop(start);
      const subjects = subjectsOf(entries);
      const isCurrent =
        this.#reading.get(start)?.passed === passed && ![...passed].some((subject) => subjects.has(subject));
      // The end of the log is not kept.
      if (isCurrent && entries.length > 0) this.#keep(start, { entries, readAt, subjects });
      return entries;
    } finally {
      if (this.#reading.get(start)?.passed === passed) this.#reading.delete(start);
    }
  }

  #keep(start: number, page: Omit<Page, 'length'>): void {
    const length = page.entries.reduce((sum, { json }) => sum + json.length, 0);
    this.#pages.set(start, { ...page, length });
    this.#length += length;
    for (const oldest of this.#pages.keys()) {
      if (this.#length <= MAX_LENGTH) break;
      this.#drop(oldest);
    }
  }

  #drop(start: number): void {
    this.#length -= this.#pages.get(start)?.length ?? 0;
    this.#pages.delete(start);
  }
}

function subjectsOf(entries: readonly LogEntry[]): ReadonlySet<string> {
  return new Set(entries.flatMap((entry) => [entityOf(entry), containerOf(entry) ?? '']));
}
