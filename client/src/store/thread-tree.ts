import type { OwnerView, ThreadSort } from '../contract.ts';
import { type Entry, type FeedView, shown, type ShownPost } from './feed-view.ts';

/** A reply as it is to be shown. One that was deleted while there are replies below it has neither text nor owner. */
export type ShownReply = Omit<ShownPost, 'owner_id' | 'owner'> &
  ({ deleted: false; owner_id: number; owner: OwnerView } | { deleted: true; owner_id: null; owner: null });

/** A reply with those that answer it. The same object until one of them changes. */
export interface ThreadNode {
  reply: ShownReply;
  replies: readonly ThreadNode[];
}

/** What makes the tree of a thread, and keeps what has not changed of the one before. */
export class ThreadTree {
  readonly #shown = new WeakMap<Entry, ShownReply>();
  #nodes = new Map<number, ThreadNode>();
  #top: readonly ThreadNode[] = [];

  /**
   * A reply whose parent is not loaded stands at the top.
   * @param living of a deleted reply, how many living ones are below it; undefined of any other
   */
  of(view: FeedView, sort: ThreadSort, living: (id: number) => number | undefined): readonly ThreadNode[] {
    const below = new Map<number | undefined, number[]>();
    const loaded = new Set(view.order);
    for (const id of inOrder(view, sort)) {
      const parent = view.entries.get(id)?.post.parent_id ?? undefined;
      const under = parent !== undefined && loaded.has(parent) ? parent : undefined;
      const others = below.get(under);
      if (others) others.push(id);
      else below.set(under, [id]);
    }
    const nodes = new Map<number, ThreadNode>();
    const list = (ids: readonly number[] = [], before: readonly ThreadNode[]) => {
      const made = ids.flatMap((id) => {
        const entry = view.entries.get(id);
        if (!entry) return [];
        const known = this.#nodes.get(id);
        const reply = this.#reply(entry, living(id));
        const replies: readonly ThreadNode[] = list(below.get(id), known?.replies ?? []);
        const same = known?.reply === reply && known.replies === replies;
        const node = same ? known : { reply, replies };
        nodes.set(id, node);
        return [node];
      });
      return sameList(made, before) ? before : made;
    };
    this.#top = list(below.get(undefined), this.#top);
    this.#nodes = nodes;
    return this.#top;
  }

  /** Replies as a list, without those below them. */
  flat(view: FeedView, ids: readonly number[]): readonly ShownReply[] {
    return ids.flatMap((id) => {
      const entry = view.entries.get(id);
      return entry ? [this.#reply(entry)] : [];
    });
  }

  #reply(entry: Entry, living?: number): ShownReply {
    const known = this.#shown.get(entry);
    if (known && (living === undefined ? !known.deleted : known.deleted && known.replies === living))
      return known;
    const post = shown(entry);
    const reply: ShownReply =
      living === undefined
        ? { ...post, deleted: false }
        : {
            ...post,
            content: '',
            tags: [],
            mentions: [],
            replies: living,
            deleted: true,
            owner_id: null,
            owner: null,
          };
    this.#shown.set(entry, reply);
    return reply;
  }
}

/** By votes the pages say the order, and what has come since is below. */
function inOrder({ order, entries }: FeedView, sort: ThreadSort): readonly number[] {
  if (sort === 'old') return [...order].sort((a, b) => a - b);
  if (sort === 'new') return [...order].sort((a, b) => b - a);
  const live = (id: number) => entries.get(id)?.live === true;
  return [...order.filter((id) => !live(id)), ...order.filter(live).sort((a, b) => a - b)];
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((one, at) => one === b[at]);
}
