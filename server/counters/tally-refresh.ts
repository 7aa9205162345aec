import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { DueWork } from '../async/due-work.ts';
import type { Tally } from '../protocol.ts';
import { inPublicThread } from '../public-thread.ts';
import type { Logger } from '../logger.ts';

/** Posts in one read. */
const PAGE = 500;
/** Posts at the head of each sort order that count as shown to somebody. */
const FRONT = 500;
/** While this many tallies wait to be sent, no more are read. */
const MAX_WAITING = 2000;
/** How often to check whether they have been sent. Milliseconds. */
const LOOK = 20;
/** From one refresh to the next at least: an import commits many times a second. Milliseconds. */
const PAUSE = 2000;
/** Until a refresh that failed is tried again. Milliseconds. */
const RETRY = 500;

export interface TallyRefreshOptions {
  pool: pg.Pool;
  log: Logger;
  /** The posts that some socket of this node tracks. */
  tracked: () => Iterable<number>;
  coalescer: {
    readonly waiting: number;
    report: (tallies: readonly Tally[]) => void;
    reportIncomplete: () => void;
  };
}

/**
 * Reloads tallies when more have changed than are sent one by one, as when an import or a recount changes millions. It
 * reads those that clients probably show: of tracked posts, and of the first posts in each sort order. Sockets that
 * receive all tallies are then told that there are more. So the cost depends on the node's clients and not on the
 * transaction, and no client misses changes silently.
 */
export class TallyRefresh {
  readonly #options: TallyRefreshOptions;
  #due = false;
  readonly #stopping = new AbortController();
  readonly #work = new DueWork(
    () => this.#due && !this.#stopping.signal.aborted,
    () => this.#step(),
  );

  constructor(options: TallyRefreshOptions) {
    this.#options = options;
  }

  /** Begins a refresh, or has the one that is in progress followed by another. */
  request(): void {
    this.#due = true;
    this.#work.begin();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#work.end();
  }

  async #step(): Promise<void> {
    this.#due = false; // before reading: what changes during the read is read again
    try {
      await this.#refresh();
      await this.#sleep(PAUSE);
    } catch (error) {
      this.#options.log.debug({ err: error }, 'tallies could not be reloaded; retrying');
      this.#due = true;
      await this.#sleep(RETRY);
    }
  }

  async #refresh(): Promise<void> {
    const { tracked, coalescer } = this.#options;
    const posts = new Set([...tracked(), ...(await this.#front())]);
    const ids = [...posts];
    for (let at = 0; at < ids.length; at += PAGE) {
      while (coalescer.waiting > MAX_WAITING && !this.#stopping.signal.aborted) await this.#sleep(LOOK);
      if (this.#stopping.signal.aborted) return;
      coalescer.report(await this.#read(ids.slice(at, at + PAGE)));
    }
    coalescer.reportIncomplete();
  }

  async #front(): Promise<number[]> {
    const { rows } = await this.#options.pool.query<{ id: number }>({
      name: 'front-posts',
      text: `
        (select id from posts where published order by listed_at desc, id desc limit $1)
        union (select post_id from post_tallies order by votes desc, post_id desc limit $1)
        union (select post_id from post_tallies order by hot desc, post_id desc limit $1)`,
      values: [FRONT],
    });
    return rows.map(({ id }) => id);
  }

  async #read(postIds: readonly number[]): Promise<Tally[]> {
    const { rows } = await this.#options.pool.query<Tally>({
      name: 'tallies-of',
      text: `
        select t.post_id, t.votes, t.replies, t.rev from post_tallies t join posts p on p.id = t.post_id
        where t.post_id = any($1::bigint[]) and p.published and t.rev > 0
          and ${inPublicThread}`,
      values: [postIds],
    });
    return rows;
  }

  /** Ends early when it is stopped. */
  #sleep(duration: number): Promise<void> {
    return sleep(duration, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
