/** A reply as far as its place in the tree is concerned. */
interface Node {
  id: number;
  parent_id?: number | null;
}

/**
 * Replies in the order in which a tree is read: each before those that answer it. One whose parent is not among them
 * (its author is hidden from the reader) stands where the parent would.
 * @param replies in the order of their time
 */
export function inTreeOrder<T extends Node>(rootId: number, replies: readonly T[]): T[] {
  const known = new Set(replies.map(({ id }) => id));
  const below = new Map<number, T[]>();
  for (const reply of replies) {
    const parent = reply.parent_id ?? rootId;
    const under = known.has(parent) ? parent : rootId;
    below.set(under, [...(below.get(under) ?? []), reply]);
  }
  const order: T[] = [];
  const visit = (id: number) => {
    for (const reply of below.get(id) ?? []) {
      order.push(reply);
      visit(reply.id);
    }
  };
  visit(rootId);
  return order;
}
