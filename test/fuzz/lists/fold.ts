import type { FollowChange, PostView } from '../../../server/contract.ts';
import type { RemovedPost } from '../../../server/posts/event-payloads.ts';

/** What is listed and what is subscribed to. */
export type Kind = 'public' | 'feed' | 'home' | 'author' | 'thread' | 'tag';
export const kinds: readonly Kind[] = ['public', 'feed', 'home', 'author', 'thread', 'tag'];

/** An event with its number. */
export interface Numbered {
  seq: number;
  name: string;
  data: object;
}

/** A post as a list has it. */
export type Listed = Pick<PostView, 'id' | 'owner_id' | 'version' | 'content' | 'root_id' | 'redacted'> & {
  deleted?: true;
};

/** A list as it becomes by the events behind it. */
export class ListFold {
  readonly #kind: Kind;
  readonly #viewer: number;
  /** Of a thread: its first post, which is not in its list. */
  readonly #root: number | undefined;
  /** Threads whose replies came back, or may have: of that only those are told who subscribe to something of the first post. */
  readonly #returned: ReadonlySet<number>;
  readonly #posts: Map<number, Listed>;
  /** Authors and threads whose earlier posts the stream does not bring: it has said so. */
  readonly #unread = new Set<string>();

  constructor(
    {
      kind,
      viewer,
      root,
      returned,
    }: { kind: Kind; viewer: number; root: number | undefined; returned: ReadonlySet<number> },
    page: readonly Listed[],
  ) {
    this.#kind = kind;
    this.#viewer = viewer;
    this.#root = root;
    this.#returned = returned;
    this.#posts = new Map(living(page).map((post) => [post.id, post]));
  }

  get size(): number {
    return this.#posts.size;
  }

  take({ name, data }: Numbered): void {
    if (name === 'follow:added' || name === 'follow:removed') this.#takeFollow(name, data as FollowChange);
    else if (name === 'post:deleted') this.#remove(data as RemovedPost);
    else if (name === 'post:created' || name === 'post:updated') {
      const post = data as PostView;
      if (name === 'post:created' && !post.root_id && (post.replies ?? 0) > 0)
        this.#unread.add(`thread:${post.id}`);
      if (this.#holds(post)) this.#posts.set(post.id, post);
    }
  }

  /** In what a list read later is otherwise than what has been taken, by the post. */
  differences(page: readonly Listed[]): Map<number, string> {
    const found = new Map<number, string>();
    const later = living(page);
    for (const post of later) {
      const own = this.#posts.get(post.id);
      const mayMiss =
        this.#unread.has(`author:${post.owner_id}`) ||
        this.#unread.has(`thread:${post.root_id}`) ||
        (this.#hasReplies && post.root_id && this.#returned.has(post.root_id));
      if (!own) {
        if (!mayMiss) found.set(post.id, 'is in the list, and no event told it');
      } else if (own.version !== post.version)
        found.set(post.id, `has version ${post.version} in the list and ${own.version} by its events`);
      else if (own.redacted !== true && own.content !== post.content)
        found.set(post.id, 'has another text in the list than by its events');
    }
    const listed = new Set(later.map(({ id }) => id));
    for (const id of this.#posts.keys())
      if (!listed.has(id)) found.set(id, 'is not in the list, and no event told that it went');
    return found;
  }

  /** Whether it is a list of posts and replies, of whatever thread. */
  get #hasReplies(): boolean {
    return this.#kind === 'author' || this.#kind === 'tag';
  }

  #holds({ root_id }: PostView): boolean {
    if (this.#kind === 'public' || this.#hasReplies) return true;
    return this.#kind === 'thread' ? root_id === this.#root : !root_id;
  }

  #remove({ id, root_id }: RemovedPost): void {
    this.#posts.delete(id);
    if (root_id !== null) return;
    this.#unread.delete(`thread:${id}`);
    for (const post of this.#posts.values()) if (post.root_id === id) this.#posts.delete(post.id);
  }

  #takeFollow(name: 'follow:added' | 'follow:removed', { follower, followee }: FollowChange): void {
    if (this.#kind !== 'home' || follower.id !== this.#viewer) return;
    if (name === 'follow:added') {
      this.#unread.add(`author:${followee.id}`);
      return;
    }
    this.#unread.delete(`author:${followee.id}`);
    for (const post of this.#posts.values()) if (post.owner_id === followee.id) this.#posts.delete(post.id);
  }
}

function living(page: readonly Listed[]): Listed[] {
  return page.filter(({ deleted }) => !deleted);
}
