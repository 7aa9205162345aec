import { QueryTypes } from 'sequelize';
import { MicroBatcher } from '../database/micro-batcher.ts';
import { prepared } from '../database/prepared.ts';
import type { ReadShare, ReadSource } from '../database/replicas.ts';
import { tooManyRequests, unavailable } from '../errors.ts';
import { VISITOR } from '../identity.ts';
import { roundRobin } from '../queues/round-robin.ts';
import { type Requester, FairQueue } from '../queues/fair-queue.ts';
import type { Cursor } from './cursor.ts';
import { invalidCursor } from '../keyset-cursor.ts';
import { readFeedPage } from './feed-page.ts';
import { hidersAmong, type Look, PageCache, lookAt } from './page-cache.ts';
import { cursorOf, type FeedPage, type OwnScope, type Preparation, Unprepared } from './list-statement.ts';
import type { ListPosts } from './schemas.ts';

/** A page as the requesting user sees it. */
export interface FeedAnswer {
  epoch: string;
  seq: number;
  next: string | undefined;
  /** The posts, each with `voted`, as one JSON array. A large one is bytes, the same for all who see the same. */
  json: string | Buffer;
  /** Whether a draft of the requester's is among them. */
  hasDrafts: boolean;
}

/** Prepares posts for what is named, for so many milliseconds at most. Tells whether none is left. */
type CatchUp = (milliseconds: number, what: Preparation) => Promise<boolean>;

interface Ask {
  viewer: number;
  /** Whose turn it takes. */
  requester: Requester;
  list: ListPosts;
  cursor: Cursor | undefined;
  /** What it has in common with others that ask for the same published posts. */
  key: string;
  resolve: (answer: FeedAnswer) => void;
  reject: (error: unknown) => void;
}

/** Whose turn a round takes for connections. */
type Part = 'pages' | 'searches';

/** Batches in progress at once, and the maximum number of requests in one batch. */
const ROUNDS = 3;
const MOST = 200;
/** Maximum number of requests that wait for a batch. */
const MAX_WAITING = 5000;
/** Slow requests (searches, far pages) in progress at once, and how many more for users without a recent one. */
const SLOW_AT_ONCE = 4;
const SLOW_RESERVED = 1;
/** Of those: how many wait at most, and how many of one user are unanswered. More would wait for minutes. */
const SLOW_WAITING = 96;
const SLOW_PER_VIEWER = 4;
/** Posts that a quick page passes over at most. */
const QUICK_SKIP = 1000;
/** How long a search waits for posts that it cannot find yet. Milliseconds. */
const CATCH_UP = 3000;
/** Text that is handed out before the event loop turns: what nobody reads is let go of only then. */
const TEXT_AT_ONCE = 8 * 1024 * 1024;
/** A page from this length on is large. */
const LARGE = 64 * 1024;
/**
 * Different pages that a round reads at once, since one may have six megabytes, and in all: the others are left to a
 * later round, so that anyone who comes meanwhile does not wait for two hundred of somebody else's.
 */
const PAGES_AT_ONCE = 8;
const PAGES_IN_ROUND = 16;

/**
 * Reads pages of the feed for all requests that arrive together (a micro-batcher). A page is the same for everyone
 * except for `voted`, so identical requests are one query, and `voted` is one more query for all of them. A page from
 * the page cache is used again if a check in the database, made after the request has arrived, proves it unchanged (see
 * `PageCache`), so a writer always sees their own write, on any node. Searches and far pages wait in a queue of their
 * own, in which users and addresses take turns: they hold up no other page, and those of one user not those of another.
 */
export class FeedReader {
  readonly #source: ReadSource;
  readonly #kept = new PageCache();
  readonly #quick = new MicroBatcher<Ask>({
    atOnce: ROUNDS,
    most: MOST,
    sendersOf,
    bound: { most: MAX_WAITING, refuse: (ask) => this.#refuse(ask) },
    round: (asks) => this.#round(asks, 'pages'),
  });
  readonly #slow: FairQueue;

  /** Slow requests in progress, by user, and by address of those who have no account. */
  readonly #slowOf = new Map<number | string | undefined, number>();
  readonly #onRefused: (() => void) | undefined;
  readonly #onCrowded: ((queue: Part) => void) | undefined;
  readonly #catchUp: CatchUp;

  /**
   * @param source where pages are read
   * @param catchUp prepares posts that a list does not find yet, for so long at most; tells whether none is left
   * @param onRefused called when one requester's slow requests at once are refused; without it there may be any number
   * @param onCrowded called for each request that is refused since too many wait
   */
  constructor(
    source: ReadSource,
    catchUp: CatchUp,
    onRefused?: () => void,
    onCrowded?: (queue: Part) => void,
  ) {
    this.#source = source;
    this.#catchUp = catchUp;
    this.#onRefused = onRefused;
    this.#onCrowded = onCrowded;
    this.#slow = new FairQueue({
      atOnce: SLOW_AT_ONCE,
      reserved: SLOW_RESERVED,
      most: SLOW_WAITING,
      mostOf: SLOW_WAITING,
      refusal: () => {
        onCrowded?.('searches');
        return unavailable('Too many searches are waiting. Try again.', 5);
      },
    });
  }

  /** Pages that wait for a round. */
  get waiting(): number {
    return this.#quick.waiting;
  }

  /** Searches and far pages that wait for their turn. */
  get slowWaiting(): number {
    return this.#slow.waiting;
  }

  /** The database is another one: its positions may repeat those of the old one. */
  forget(): void {
    this.#kept.forget();
  }

  /**
   * @param requester whose turn it takes
   * @throws {AppError} 422 for a cursor of another list; 503 if too many wait; for a search or a far page 429 if the requester
   * waits for several already
   */
  async read(viewer: number, list: ListPosts, requester: Requester): Promise<FeedAnswer> {
    const cursor = cursorOf(list);
    if (cursor === 'invalid') throw invalidCursor();
    if (list.search === '' && list.skip <= QUICK_SKIP) {
      return new Promise((resolve, reject) =>
        this.#quick.add({ viewer, requester, list, cursor, key: keyOf(list), resolve, reject }),
      );
    }
    const slow = viewer === VISITOR.id ? requester.senders[0] : viewer;
    this.#enterSlow(slow);
    try {
      return await this.#slow.run(
        requester,
        () =>
          new Promise<FeedAnswer>((resolve, reject) => {
            void this.#round(
              [{ viewer, requester, list, cursor, key: keyOf(list), resolve, reject }],
              'searches',
            );
          }),
      );
    } finally {
      this.#leaveSlow(slow);
    }
  }

  #refuse(ask: Ask): void {
    this.#onCrowded?.('pages');
    ask.reject(unavailable('Too many pages are waiting. Try again.', 1));
  }

  #enterSlow(of: number | string | undefined): void {
    const own = this.#slowOf.get(of) ?? 0;
    if (own >= SLOW_PER_VIEWER && this.#onRefused) {
      this.#onRefused();
      throw tooManyRequests('Too many searches at once. Wait for the others.', 1);
    }
    this.#slowOf.set(of, own + 1);
  }

  #leaveSlow(of: number | string | undefined): void {
    const own = this.#slowOf.get(of) ?? 0;
    if (own > 1) this.#slowOf.set(of, own - 1);
    else this.#slowOf.delete(of);
  }

  async #round(asks: readonly Ask[], part: Part): Promise<void> {
    let mine = asks;
    try {
      const found = asks.map((ask) => this.#kept.find(ask.key));
      const known = [...new Set(found.filter((page) => page !== undefined))];
      // After the pages were found: none may be of a later state than the look.
      const db = await this.#source.share(part);
      const look = await lookAt(
        db,
        asks.map((ask) => ask.viewer),
        known,
      );
      const rest: Ask[] = [];
      const proven = new Map<Ask, FeedPage>();
      for (const [at, ask] of asks.entries()) {
        const page = found[at];
        if (page && isShared(scopeOf(ask, look)) && this.#kept.holds(ask.key, page, look)) {
          proven.set(ask, page);
        } else rest.push(ask);
      }
      await handOut(proven, look.voted);
      let alike = [...askedAlike(rest, look).values()];
      if (alike.length > PAGES_AT_ONCE) alike = [...askedAlike(roundRobin(rest, sendersOf), look).values()];
      const now = alike.slice(0, PAGES_IN_ROUND);
      mine = now.flat();
      if (alike.length > PAGES_IN_ROUND) this.#quick.putBack(alike.slice(PAGES_IN_ROUND).flat());
      for (let at = 0; at < now.length; at += PAGES_AT_ONCE) {
        const pages = await this.#pagesOf(now.slice(at, at + PAGES_AT_ONCE), look, db, part);
        const { voted, hiders } = await votesOn(pages, db);
        // A block that was committed since the look: the page may be of a position behind it.
        const late = [...pages.keys()].filter(({ viewer }) => hiders.has(viewer) && !look.hiders.has(viewer));
        for (const ask of late) pages.delete(ask);
        await handOut(pages, voted);
        if (late.length > 0) void this.#round(late, part);
      }
    } catch (error) {
      this.#kept.forget(); // it may be another database that answers next
      for (const ask of mine) ask.reject(error);
    }
  }

  /** The page of each request; those whose query has failed have been told, and have none. */
  async #pagesOf(
    alike: readonly (readonly Ask[])[],
    look: Look,
    db: ReadShare,
    part: Part,
  ): Promise<Map<Ask, FeedPage>> {
    const pages = new Map<Ask, FeedPage>();
    await Promise.all(
      alike.map(async (together) => {
        const [ask] = together;
        if (!ask) return;
        try {
          const scope = scopeOf(ask, look);
          const readAt = performance.now();
          const page = await this.#pageOf(ask, scope, db, part);
          if (isShared(scope)) this.#kept.keep(ask.key, page, ask.list.sort, readAt);
          for (const each of together) pages.set(each, page);
        } catch (error) {
          for (const each of together) each.reject(error);
        }
      }),
    );
    return pages;
  }

  /** A list that would miss posts waits for these, and is refused rather than answered without them. */
  async #pageOf({ list, cursor }: Ask, scope: OwnScope, db: ReadShare, part: Part): Promise<FeedPage> {
    const end = performance.now() + CATCH_UP;
    for (let from = db; ; from = await this.#source.share(part)) {
      try {
        return await readFeedPage(from, { ...scope, list, cursor });
      } catch (error) {
        if (!(error instanceof Unprepared)) throw error;
        const left = end - performance.now();
        if (left > 0 && (await this.#catchUp(left, error.what))) continue;
        const lists = error.what === 'tags' ? 'Lists of tags' : 'Searches';
        throw unavailable(`${lists} are being prepared: not all posts can be found yet. Try again.`, 5);
      }
    }
  }
}

const VOTES_ON = prepared(
  `select array(
     select v.user_id || ':' || v.post_id from unnest($1::bigint[], $2::bigint[]) as asked (user_id, post_id)
     cross join lateral (select * from votes v where v.user_id = asked.user_id and v.post_id = asked.post_id offset 0) v
   ) as voted, ${hidersAmong('$3')} as hiders`,
);

/**
 * Which of these requesters have voted for which of the posts that they are about to see (`user:post`), and from which
 * of them authors are hidden by now.
 */
async function votesOn(
  pages: ReadonlyMap<Ask, FeedPage>,
  db: ReadShare,
): Promise<Pick<Look, 'voted' | 'hiders'>> {
  const users: number[] = [];
  const posts: number[] = [];
  for (const [ask, page] of pages) {
    for (const id of page.ids) {
      users.push(ask.viewer);
      posts.push(id);
    }
  }
  if (users.length === 0) return { voted: new Set(), hiders: new Set() };
  const [row] = await db.query<{ voted: string[]; hiders: (number | string)[] }>(VOTES_ON, {
    type: QueryTypes.SELECT,
    bind: [users, posts, [...new Set(users)]],
  });
  return { voted: new Set(row?.voted), hiders: new Set(row?.hiders.map(Number)) };
}

function sendersOf({ requester }: Ask): readonly string[] {
  return requester.senders;
}

/** Requests that one page answers. */
function askedAlike(asks: readonly Ask[], look: Look): Map<string, Ask[]> {
  const same = new Map<string, Ask[]>();
  for (const ask of asks) {
    const scope = scopeOf(ask, look);
    // With drafts and without it is another page, and one key.
    const own = scope.draftsOf === undefined ? ask.viewer : `${ask.viewer} and drafts`;
    const key = `${isShared(scope) ? '' : own} ${ask.key}`;
    const together = same.get(key);
    if (together) together.push(ask);
    else same.set(key, [ask]);
  }
  return same;
}

async function handOut(pages: ReadonlyMap<Ask, FeedPage>, voted: ReadonlySet<string>): Promise<void> {
  const large = new LargeTexts();
  for (const [ask, page] of pages) {
    ask.resolve(answerFor(ask.viewer, page, voted, large));
    if (large.length < TEXT_AT_ONCE) continue;
    large.forget();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Requests with one query share one list (`goodQueries` in api/route.ts). */
const keys = new WeakMap<ListPosts, string>();

/** What two asks for the same published posts have in common. */
function keyOf(list: ListPosts): string {
  const known = keys.get(list);
  if (known !== undefined) return known;
  const { limit, skip, search, sort, view, replies, owner_id, tag, published, cursor } = list;
  const key = JSON.stringify([
    limit,
    skip,
    search,
    sort,
    view,
    replies,
    owner_id,
    tag,
    published === false,
    cursor,
  ]);
  keys.set(list, key);
  return key;
}

/**
 * What of a list is its requester's own. Drafts only of one who has some, and hidden authors only of one who has some,
 * so that all others ask alike.
 */
function scopeOf({ viewer, list }: Ask, { drafters, hiders }: Pick<Look, 'drafters' | 'hiders'>): OwnScope {
  return {
    draftsOf: list.published !== true && drafters.has(viewer) ? viewer : undefined,
    homeOf: list.view === 'home' ? viewer : undefined,
    hiddenFrom: hiders.has(viewer) ? viewer : undefined,
  };
}

/** Whether a list is the same for everyone who asks for it and has nothing of their own in it. */
function isShared({ draftsOf, homeOf, hiddenFrom }: OwnScope): boolean {
  return draftsOf === undefined && homeOf === undefined && hiddenFrom === undefined;
}

/**
 * Texts of large pages, each encoded once for all who are about to see the same. As bytes, since Node copies a text that the
 * kernel does not take at once for each who asked.
 */
class LargeTexts {
  readonly #texts = new Map<string, Buffer>();
  readonly #numbers = new Map<FeedPage, number>();
  /** Bytes of all. */
  length = 0;

  /** @param mine for each post of the page, whether its requester has voted */
  of(page: FeedPage, mine: readonly boolean[]): Buffer {
    const number = this.#numbers.get(page) ?? this.#numbers.size;
    this.#numbers.set(page, number);
    const key = `${number}:${mine.map(Number).join('')}`;
    const known = this.#texts.get(key);
    if (known) return known;
    const text = encoded(page, mine);
    this.#texts.set(key, text);
    this.length += text.length;
    return text;
  }

  forget(): void {
    this.#texts.clear();
    this.length = 0;
  }
}

/** The text that `answerFor` makes of a small page, without making it first: it would be garbage of megabytes. */
function encoded({ posts }: FeedPage, mine: readonly boolean[]): Buffer {
  const pieces = posts.map((post, at) => [at === 0 ? '[' : ',', post, endOf(mine[at] === true)] as const);
  const length = pieces.reduce((sum, [, post, end]) => sum + 1 + Buffer.byteLength(post) + end.length, 1);
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const piece of pieces.flat()) at += bytes.write(piece, at);
  bytes.write(']', at);
  return bytes;
}

function endOf(mine: boolean): string {
  return `,"voted":${mine ? 'true' : 'false'}}`;
}

function answerFor(
  viewer: number,
  page: FeedPage,
  voted: ReadonlySet<string>,
  large: LargeTexts,
): FeedAnswer {
  const { epoch, seq, next, posts, hasDrafts } = page;
  const unvoted = voted.size === 0 ? unvotedTexts.get(page) : undefined;
  if (unvoted !== undefined) return { epoch, seq, next, json: unvoted, hasDrafts };
  const mine = page.ids.map((id) => voted.has(`${viewer}:${id}`));
  const length = posts.reduce((sum, post) => sum + post.length, 0);
  if (length >= LARGE) return { epoch, seq, next, json: large.of(page, mine), hasDrafts };
  const json = `[${posts.map((post, at) => post + endOf(mine[at] === true)).join(',')}]`;
  if (!mine.includes(true)) unvotedTexts.set(page, json);
  return { epoch, seq, next, json, hasDrafts };
}

/** Small pages as those see them who have voted for none of their posts. */
const unvotedTexts = new WeakMap<FeedPage, string>();
