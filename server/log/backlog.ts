import type pg from 'pg';
import { Loop } from '../async/loop.ts';
import type { Logger } from '../logger.ts';

/** How often the outbox is looked at. Milliseconds. */
const INTERVAL = 1000;
/** Rows that are counted at most: beyond it the number tells nothing new. */
const MOST = 10_000;
/** How long the oldest row may wait, or the outbox be unreadable, until readiness fails. Milliseconds. */
const TIME_LIMIT = 5000;

interface Row {
  length: number;
  age: number;
  oldest: number | null;
}

/** The committed events that have no number yet, as every node sees them. Usually none. */
export class Backlog extends Loop {
  readonly #pool: pg.Pool;
  /** The oldest row, and when it was first seen to be that. */
  #oldest: number | null = null;
  #oldestSince = 0;
  #readAt = 0;
  /** Rows that wait, counted up to ten thousand. */
  length = 0;
  /** Since the oldest of them was written, by the database's clock. Seconds. */
  age = 0;

  constructor(pool: pg.Pool, log: Logger) {
    super({
      work: () => this.#read(),
      pause: () => INTERVAL,
      onFailed: (error) => log.debug({ err: error }, 'the outbox could not be counted'),
    });
    this.#pool = pool;
  }

  override start(): void {
    this.#readAt = Date.now();
    super.start();
  }

  /**
   * Why events are not being numbered; undefined if they are. A long backlog that gets shorter is no failure: its
   * oldest row changes with each check.
   */
  get stall(): string | undefined {
    const now = Date.now();
    if (now - this.#readAt > TIME_LIMIT) return 'The outbox has not been read for five seconds.';
    const waited = now - this.#oldestSince;
    if (this.#oldest === null || waited <= TIME_LIMIT) return undefined;
    return `Events are not being numbered: the oldest of ${this.length} has waited for ${Math.floor(waited / 1000)} s.`;
  }

  async #read(): Promise<void> {
    const { rows } = await this.#pool.query<Row>({
      name: 'backlog',
      text: `
        select count(*) as length, min(o.id) as oldest,
          coalesce(extract(epoch from clock_timestamp() - min(o.created_at)), 0)::double precision as age
        from (select w.id, w.created_at from event_outbox w order by w.id limit $1) o`,
      values: [MOST],
    });
    const { length, age, oldest } = rows[0] ?? { length: 0, age: 0, oldest: null };
    this.length = length;
    this.age = Math.max(0, age);
    this.#readAt = Date.now();
    if (oldest !== this.#oldest) this.#oldestSince = this.#readAt;
    this.#oldest = oldest;
  }
}
