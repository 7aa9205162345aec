import { QueryTypes, type Sequelize } from 'sequelize';
import { Gathering } from '../database/gathering.ts';
import { AppError } from '../errors.ts';
import type { Cursor } from './cursor.ts';
import { cursorOf, type FeedPage, readFeedPage } from './feed-page.ts';
import { KeptPages, lookAt } from './kept-pages.ts';
import type { ListPosts } from './schemas.ts';

/** A page as its asker sees it. */
export interface FeedAnswer {
  epoch: string;
  seq: number;
  next: string | undefined;
  /** The posts, each with `voted`, as one JSON array. */
  json: string;
}

interface Ask {
  viewer: number;
  list: ListPosts;
  cursor: Cursor | undefined;
  resolve: (answer: FeedAnswer) => void;
  reject: (error: unknown) => void;
}

/** Rounds under way at once, and asks in one round at most. */
const ROUNDS = 3;
const MOST = 200;
/** The same of asks that may take PostgreSQL long: a search of two letters, or a page after a million. */
const SLOW_ROUNDS = 2;
const SLOW_MOST = 2;
/** Posts that a quick page passes over at most. */
const QUICK_SKIP = 1000;

/**
 * Reads pages of the feed for everyone who asks at the same moment. A page is the same for all but for `voted`, so
 * identical asks are one query, and whether the askers have voted is one more for all of them. A page that was read a
 * moment ago is given out again if the database, asked after the request has come, proves it unchanged (see
 * `KeptPages`), so a writer always sees their own write, on whichever node. Searches and far pages go a road of their own:
 * they hold up one another and nobody else.
 */
export class FeedReader {
  readonly #sequelize: Sequelize;
  readonly #kept = new KeptPages();
  readonly #quick = new Gathering<Ask>({ atOnce: ROUNDS, most: MOST, round: (asks) => this.#round(asks) });
  readonly #slow = new Gathering<Ask>({
    atOnce: SLOW_ROUNDS,
    most: SLOW_MOST,
    round: (asks) => this.#round(asks),
  });

  constructor(sequelize: Sequelize) {
    this.#sequelize = sequelize;
  }

  /** The database is another one: its positions may repeat those of the old one. */
  forget(): void {
    this.#kept.forget();
  }

  /** @throws {AppError} 422 for a cursor of another list */
  read(viewer: number, list: ListPosts): Promise<FeedAnswer> {
    const cursor = cursorOf(list);
    if (cursor === 'invalid') {
      throw new AppError('invalid', 'The cursor is not one of this list.', {
        errors: [{ loc: ['query', 'cursor'], msg: '"cursor" is not one of this list', type: 'any.invalid' }],
      });
    }
    const asks = list.search !== '' || list.skip > QUICK_SKIP ? this.#slow : this.#quick;
    return new Promise((resolve, reject) => asks.add({ viewer, list, cursor, resolve, reject }));
  }

  async #round(asks: readonly Ask[]): Promise<void> {
    try {
      const found = asks.map((ask) => this.#kept.find(keyOf(ask.list)));
      const known = [...new Set(found.filter((page) => page !== undefined))];
      const look = await lookAt(
        this.#sequelize,
        asks.map((ask) => ask.viewer),
        known,
      );
      const rest: Ask[] = [];
      for (const [at, ask] of asks.entries()) {
        const page = found[at];
        if (
          page &&
          draftsIn(ask, look.drafters) === undefined &&
          this.#kept.holds(keyOf(ask.list), page, look)
        ) {
          ask.resolve(answerFor(ask.viewer, page, look.voted));
        } else rest.push(ask);
      }
      if (rest.length === 0) return;
      const pages = await this.#pagesOf(rest, look.drafters);
      const voted = await this.#votes(rest, pages);
      for (const ask of rest) {
        const page = pages.get(ask);
        // Its page's query has failed, and it has been told.
        if (page) ask.resolve(answerFor(ask.viewer, page, voted));
      }
    } catch (error) {
      this.#kept.forget(); // it may be another database that answers next
      for (const ask of asks) ask.reject(error);
    }
  }

  async #pagesOf(asks: Ask[], withDrafts: ReadonlySet<number>): Promise<Map<Ask, FeedPage>> {
    const same = new Map<string, Ask[]>();
    for (const ask of asks) {
      const key = `${draftsIn(ask, withDrafts) ?? ''} ${keyOf(ask.list)}`;
      const together = same.get(key);
      if (together) together.push(ask);
      else same.set(key, [ask]);
    }
    const pages = new Map<Ask, FeedPage>();
    await Promise.all(
      [...same.values()].map(async (together) => {
        const [ask] = together;
        if (!ask) return;
        try {
          const draftsOf = draftsIn(ask, withDrafts);
          const readAt = performance.now();
          const page = await readFeedPage(this.#sequelize, ask.list, ask.cursor, draftsOf);
          if (draftsOf === undefined) this.#kept.keep(keyOf(ask.list), page, ask.list.sort, readAt);
          for (const each of together) pages.set(each, page);
        } catch (error) {
          for (const each of together) each.reject(error);
        }
      }),
    );
    return pages;
  }

  /** Which of these askers have voted for which of the posts that they are about to see: `user:post`. */
  async #votes(asks: Ask[], pages: ReadonlyMap<Ask, FeedPage>): Promise<Set<string>> {
    const users: number[] = [];
    const posts: number[] = [];
    for (const ask of asks) {
      for (const id of pages.get(ask)?.ids ?? []) {
        users.push(ask.viewer);
        posts.push(id);
      }
    }
    if (users.length === 0) return new Set();
    const rows = await this.#sequelize.query<{ user_id: number; post_id: number }>(
      `select v.user_id, v.post_id from unnest($1::bigint[], $2::bigint[]) as asked (user_id, post_id)
       join votes v on v.user_id = asked.user_id and v.post_id = asked.post_id`,
      { type: QueryTypes.SELECT, bind: [users, posts] },
    );
    return new Set(rows.map((row) => `${row.user_id}:${row.post_id}`));
  }
}

/** What two asks for the same published posts have in common. */
function keyOf({ limit, skip, search, sort, owner_id, published, cursor }: ListPosts): string {
  return JSON.stringify([limit, skip, search, sort, owner_id, published === false, cursor]);
}

/** Whose drafts a list may hold: only its asker's, and nobody's for one who has none, so that those ask alike. */
function draftsIn({ viewer, list }: Ask, withDrafts: ReadonlySet<number>): number | undefined {
  return list.published !== true && withDrafts.has(viewer) ? viewer : undefined;
}

function answerFor(viewer: number, page: FeedPage, voted: ReadonlySet<string>): FeedAnswer {
  const posts = page.posts.map((post, at) => {
    const mine = voted.has(`${viewer}:${page.ids[at] ?? 0}`);
    return `${post},"voted":${mine ? 'true' : 'false'}}`;
  });
  return { epoch: page.epoch, seq: page.seq, next: page.next, json: `[${posts.join(',')}]` };
}
