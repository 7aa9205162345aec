import { QueryTypes, type Sequelize } from 'sequelize';
import { prepared } from '../database/prepared.ts';
import { NoHead } from '../log/reader.ts';
import { ownXid } from '../own-xid.ts';
import { hiddenAuthors } from '../relations/policy.ts';
import type { FeedPage } from './list-statement.ts';
import type { Sort } from './cursor.ts';

/** The maximum age of a cached page: changes made by hand in the database cause no event. Milliseconds. */
const MAX_AGE = 1000;
/** The maximum number of cached pages, and of the characters of their text. */
const MAX_PAGES = 500;
const MAX_LENGTH = 16 * 1024 * 1024;

/** Tallies that have changed at most; beyond it every page is read again. */
const MOST_CHANGED = 200;

/** The state of the database in one snapshot, with which cached pages are validated. */
export interface Look {
  epoch: string;
  seq: number;
  /** Whether every committed change has its number. */
  quiet: boolean;
  /** Posts whose tallies may have changed since the horizon. */
  changed: ReadonlySet<number>;
  /** Those of the viewers who have drafts: their lists are their own. */
  drafters: ReadonlySet<number>;
  /** Those of the viewers from whom authors are hidden: their lists are their own. */
  hiders: ReadonlySet<number>;
  /** Which of the viewers have voted for which of the posts: `user:post`. */
  voted: ReadonlySet<string>;
}

interface Kept {
  page: FeedPage;
  sort: Sort;
  readAt: number;
  length: number;
}

/**
 * The page cache: pages of published posts that were read recently (LRU). None is used without validation: each batch
 * begins with a `look`, one small statement after all of its requests have arrived, and only pages that it proves
 * unchanged are used. So a writer sees their own write at once, on any node, as if every page were read again.
 *
 * The proof. A change of a published post puts an event into the outbox in its own transaction. If it committed after
 * the page was read, its event is, at the look, either still there (`quiet` is false) or numbered, by a transaction
 * that came later still, so that the head has moved. A tally carries the number of the transaction that changed it,
 * which is not below the oldest that was running when the page was read, its `horizon`. Whether somebody has voted, who
 * has drafts, and from whom authors are hidden, is asked again each time.
 *
 * The page may be of another server than the look, primary or replica, if the look has everything that the page has. A
 * replica shows the commits up to one place in the log of the primary; what depended on another commit comes behind it
 * there. The oldest transaction that it takes for running is not above one whose end it has not replayed.
 */
export class PageCache {
  /** Oldest first. */
  readonly #pages = new Map<string, Kept>();
  #length = 0;

  /** A cached page that may still be valid. */
  find(key: string): FeedPage | undefined {
    const kept = this.#pages.get(key);
    if (!kept) return undefined;
    if (performance.now() - kept.readAt < MAX_AGE) return kept.page;
    this.#drop(key, kept);
    return undefined;
  }

  /** Whether a look, begun after the page was found, proves that it is right. If not it is forgotten. */
  holds(key: string, page: FeedPage, look: Look): boolean {
    const kept = this.#pages.get(key);
    if (kept?.page !== page) return false;
    // In a list sorted by votes, any vote may bring another post into the page.
    const touched = kept.sort === 'new' ? page.ids.some((id) => look.changed.has(id)) : look.changed.size > 0;
    const same = look.quiet && look.epoch === page.epoch && look.seq === page.seq;
    if (same && !touched && look.changed.size < MOST_CHANGED) return true;
    this.#drop(key, kept);
    return false;
  }

  /** @param readAt before its statement was sent, by `performance.now()` */
  keep(key: string, page: FeedPage, sort: Sort, readAt: number): void {
    const old = this.#pages.get(key);
    if (old) this.#drop(key, old);
    const length = page.posts.reduce((sum, post) => sum + post.length, 0);
    this.#pages.set(key, { page, sort, readAt, length });
    this.#length += length;
    for (const [oldest, kept] of this.#pages) {
      if (this.#pages.size <= MAX_PAGES && this.#length <= MAX_LENGTH) break;
      this.#drop(oldest, kept);
    }
  }

  forget(): void {
    this.#pages.clear();
    this.#length = 0;
  }

  #drop(key: string, kept: Kept): void {
    if (this.#pages.delete(key)) this.#length -= kept.length;
  }
}

const LOOK = prepared(
  `select h.epoch, h.seq, not exists (select from event_outbox) as quiet,
     array(select t.post_id from post_tallies t where t.xid >= $1::xid8 and t.${ownXid} order by t.xid limit ${MOST_CHANGED}) as changed,
     array(select distinct p.owner_id from posts p where not p.published and p.owner_id = any($2::bigint[])) as drafters,
     ${hidersAmong('$2')} as hiders,
     array(select v.user_id || ':' || v.post_id from votes v
           where v.user_id = any($2::bigint[]) and v.post_id = any($3::bigint[])) as voted
   from feed_head h`,
);

/** Reads the state that validates these pages for their viewers. One statement, and so one snapshot. */
export async function lookAt(
  db: Pick<Sequelize, 'query'>,
  viewers: readonly number[],
  pages: readonly FeedPage[],
): Promise<Look> {
  const since = pages.map((page) => BigInt(page.horizon)).reduce((a, b) => (a < b ? a : b), NEVER);
  const posts = [...new Set(pages.flatMap((page) => page.ids))];
  const [row] = await db.query<{
    epoch: string;
    seq: number;
    quiet: boolean;
    changed: (number | string)[];
    drafters: (number | string)[];
    hiders: (number | string)[];
    voted: string[];
  }>(LOOK, { type: QueryTypes.SELECT, bind: [String(since), [...new Set(viewers)], posts] });
  if (!row) throw new NoHead();
  return {
    epoch: row.epoch,
    seq: row.seq,
    quiet: row.quiet,
    changed: new Set(row.changed.map(Number)),
    drafters: new Set(row.drafters.map(Number)),
    hiders: new Set(row.hiders.map(Number)),
    voted: new Set(row.voted),
  };
}

/** SQL: an array of those of some viewers from whom authors are hidden. */
export function hidersAmong(viewers: string): string {
  return `array(select w.id from unnest(${viewers}::bigint[]) as w (id) where exists (${hiddenAuthors('w.id')}))`;
}

/** A transaction number that no database reaches. */
const NEVER = 18_446_744_073_709_551_615n;
