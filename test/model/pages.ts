import { isDeepStrictEqual } from 'node:util';
import type { PostView, RemovedPost } from '../../server/posts/event-payloads.ts';
import type { LogRow, Oracle } from './oracle.ts';
import type { Story } from './record.ts';
import type { Rule, Violation } from './rules.ts';

/** A list that somebody reads, by the topic that brings its changes. */
export type View = 'feed' | 'home' | `thread:${number}` | `tag:${string}`;

type Listed = PostView & { deleted?: true };

/** What was read of a list: its beginning. */
export interface Page {
  view: View;
  userId: number;
  /** When it had been answered. */
  at: number;
  /** The position that it says of itself. */
  seq: number;
  posts: readonly Listed[];
  /** It may have ended before the list. */
  isCut: boolean;
  /** Nobody wrote while it was read. */
  isQuiet: boolean;
}

export const PAGE = 100;

export function pathOf(view: View): string {
  if (view.startsWith('thread:'))
    return `/posts/${view.slice('thread:'.length)}/replies?sort=old&limit=${PAGE}`;
  const which =
    { feed: '', home: '&view=home' }[view as 'feed' | 'home'] ?? `&tag=${view.slice('tag:'.length)}`;
  return `/posts?sort=new&limit=${PAGE}${which}`;
}

/** What one may see of a page that is not one's own alone, and no tombstone. */
function shown({ posts }: Page): Listed[] {
  return posts.filter(({ published, deleted }) => published && !deleted);
}

/** Whether a post is so far back in its list that a page which was cut may have ended before it. */
function isBeyond({ view, posts, isCut }: Page, post: Pick<PostView, 'id' | 'published_at'>): boolean {
  const last = posts.at(-1);
  if (!isCut || !last) return false;
  if (view.startsWith('thread:')) return post.id > last.id;
  return (post.published_at ?? '') <= (last.published_at ?? '');
}

/** The posts that everybody may see at a position, each by its last event; and those of which the log does not know all. */
interface Visible {
  posts: Map<number, LogRow>;
  /** Replies that were in a withdrawn or removed thread, where nothing is told of them; each with the thread. */
  untold: Map<number, number>;
}

const viewOf = ({ data }: LogRow) => data as unknown as PostView;

export function visibleAt({ log }: Oracle, seq: number): Visible {
  const posts = new Map<number, LogRow>();
  const untold = new Map<number, number>();
  /** Replies that a moderator may bring back; each with the thread. */
  const removed = new Map<number, number>();
  for (const row of log.slice(0, seq)) {
    if (!row.name.startsWith('post:')) continue;
    const { root_id, by } = row.data as Partial<RemovedPost>;
    untold.delete(row.entityId);
    removed.delete(row.entityId);
    if (row.name === 'post:deleted') posts.delete(row.entityId);
    else posts.set(row.entityId, row);
    if (by === 'moderator' && root_id) removed.set(row.entityId, root_id);
    if (row.name !== 'post:deleted') continue;
    for (const [id, other] of posts) if (viewOf(other).root_id === row.entityId) untold.set(id, row.entityId);
    for (const [id, root] of removed) if (root === row.entityId) untold.set(id, root);
  }
  for (const [id, row] of posts) {
    const { root_id } = viewOf(row);
    if (root_id && !posts.has(root_id)) posts.delete(id);
  }
  return { posts, untold };
}

/** Judges pages by the log, and by what listeners were told between two of them. */
export class PageRules {
  readonly violations: Violation[] = [];
  readonly #oracle: Oracle;
  readonly #erased: ReadonlyMap<number, number>;

  /**
   * @param steady listeners of one view each, that never changed it
   * @param erased when the end of an account was asked for
   */
  constructor(
    oracle: Oracle,
    pages: readonly Page[],
    steady: readonly { view: View; story: Story }[],
    erased: ReadonlyMap<number, number>,
  ) {
    this.#oracle = oracle;
    this.#erased = erased;
    for (const page of pages) this.#page(page);
    for (const { view, story } of steady) {
      const start = story.segments[0]?.from ?? Infinity;
      const own = pages.filter(
        (page) => page.view === view && page.userId === story.userId && page.seq >= start,
      );
      const ends = own.filter(({ isQuiet }) => isQuiet);
      for (const end of ends) for (const page of own) if (page.seq < end.seq) this.#fold(story, page, end);
    }
  }

  #page(page: Page): void {
    const { view, userId, seq, isQuiet } = page;
    const where = `${view} of user ${userId} at ${seq}`;
    const { posts, untold } = visibleAt(this.#oracle, seq);
    // A page has what is committed: also what gets its number behind the position that the page says.
    const ahead = new Set(
      this.#oracle.log
        .slice(seq, this.#oracle.headAt(page.at))
        .filter(({ name }) => name.startsWith('post:'))
        .map(({ entityId }) => entityId),
    );
    const isAhead = ({ id, root_id }: Pick<PostView, 'id' | 'root_id'>) =>
      ahead.has(id) || ahead.has(root_id ?? id) || untold.has(id);
    const found = new Map(shown(page).map((post) => [post.id, post]));
    for (const [id, row] of posts) {
      const isThere = found.has(id);
      if (isAhead(viewOf(row)) || isBeyond(page, viewOf(row))) continue;
      const hidden = this.#hidden(page, row.authorId);
      // What an account has written is in no list from its end on, and is told to be gone a piece at a time.
      const isGoing = (this.#erased.get(row.authorId ?? 0) ?? Infinity) <= page.at;
      if (this.#belongs(page, row) && hidden === 'none' && !isThere && !isGoing)
        this.#blame('page', `${where} is without post ${id} by ${row.authorId ?? 0}`);
      if (isThere && (!this.#belongs(page, row) || hidden === 'all'))
        this.#blame('page', `${where} has post ${id} by ${row.authorId ?? 0}`);
    }
    const listed = new Map(page.posts.map((post) => [post.id, post]));
    for (const [id, post] of listed)
      if (post.deleted && posts.has(id) && !isAhead(post))
        this.#blame('page', `${where} has post ${id} as deleted, which is not`);
    for (const [id, post] of found) {
      const row = posts.get(id);
      if (isAhead(post)) continue;
      const { parent_id, root_id = null } = post;
      // What is deleted and has replies stays in its thread.
      if (parent_id && !posts.has(parent_id) && view.startsWith('thread:') && !listed.has(parent_id))
        if (!isAhead({ id: parent_id, root_id }) && parent_id !== root_id)
          this.#blame('page', `${where} has post ${id}, but not post ${parent_id}, which it replies to`);
      if (!row) this.#blame('page', `${where} has post ${id}, which is not there`);
      else this.#same('page', where, post, row);
      if (!isQuiet || root_id) continue;
      const replies = [...posts.values()].filter((reply) => viewOf(reply).root_id === id);
      if (![...untold.values()].includes(id) && post.replies !== replies.length)
        this.#blame(
          'replies',
          `${where}: post ${id} has ${post.replies ?? 0}, and its list ${replies.length}`,
        );
    }
  }

  #belongs({ view, userId, seq }: Page, row: LogRow): boolean {
    const { id, root_id } = viewOf(row);
    if (view.startsWith('thread:')) return id !== root_id && `thread:${root_id ?? 0}` === view;
    if (root_id) return false;
    if (view !== 'home') return row.topics.includes(view);
    return row.authorId === userId || this.#oracle.stands('follow', userId, row.authorId ?? 0, seq);
  }

  /** Blocks and mutes take effect in pages when they are committed, before they have a number. */
  #hidden({ userId, seq, at }: Page, authorId: number | null): 'all' | 'some' | 'none' {
    return this.#oracle.hidden(userId, authorId, false, seq, Math.max(seq, this.#oracle.headAt(at)));
  }

  #same(rule: Rule, where: string, post: Listed, { data }: Pick<LogRow, 'data'>): void {
    const told = data as unknown as PostView;
    const of = ({ version, title, content, tags, owner }: PostView) =>
      told.redacted ? { version } : { version, title, content, tags, owner };
    if (!isDeepStrictEqual(of(post), of(told)))
      this.#blame(rule, `${where} has ${JSON.stringify(of(post))}, not ${JSON.stringify(of(told))}`);
  }

  #fold({ name, userId, segments }: Story, from: Page, to: Page): void {
    const where = `${name}: ${from.view} at ${from.seq} with what came up to ${to.seq}`;
    const folded = new Map(shown(from).map((post) => [post.id, post]));
    const drop = (which: (post: Listed) => boolean) => {
      for (const [id, post] of folded) if (which(post)) folded.delete(id);
    };
    for (const { seq, event } of segments.flatMap(({ told }) => told)) {
      if (!event || seq <= from.seq || seq > to.seq) continue;
      const data = event.data as unknown as Listed & Record<'follower' | 'followee' | 'user', { id: number }>;
      if (event.name === 'post:deleted') {
        drop(({ id, root_id }) => id === data.id || (data.root_id === null && root_id === data.id));
      } else if (event.name.startsWith('post:')) {
        const isThread = from.view.startsWith('thread:');
        // A thread that comes back is to be read again.
        if (isThread && !data.root_id && event.name === 'post:created') return;
        if (isThread === Boolean(data.root_id)) folded.set(data.id, data);
      } else if (event.name === 'follow:removed' && from.view === 'home' && data.follower.id === userId)
        drop(({ owner_id }) => owner_id === data.followee.id);
    }
    const upTo = Math.max(to.seq, this.#oracle.headAt(to.at));
    const isComparable = (post: Listed) =>
      !isBeyond(from, post) &&
      !isBeyond(to, post) &&
      !this.#isRelatedAnew(userId, post.owner_id, from.seq, upTo);
    const [made, read] = [folded, new Map(shown(to).map((post) => [post.id, post]))].map(
      (posts) => new Map([...posts].filter(([, post]) => isComparable(post))),
    );
    for (const [id, post] of made ?? []) {
      const other = read?.get(id);
      if (!other) this.#blame('fold', `${where} has post ${id}, which is not there`);
      else if (!post.redacted) this.#same('fold', `${where}: post ${id}`, other, { data: { ...post } });
    }
    for (const id of read?.keys() ?? [])
      if (!made?.has(id)) this.#blame('fold', `${where} is without post ${id}`);
  }

  /** Whether what decides about an author's posts has changed between two positions: then more is read again. */
  #isRelatedAnew(userId: number, authorId: number, after: number, upTo: number): boolean {
    return (
      this.#oracle.changes('follow', userId, authorId, after, upTo) ||
      this.#oracle.changes('mute', userId, authorId, after, upTo) ||
      this.#oracle.changes('block', userId, authorId, after, upTo) ||
      this.#oracle.changes('block', authorId, userId, after, upTo)
    );
  }

  #blame(rule: Rule, what: string): void {
    this.violations.push({ rule, what });
  }
}
