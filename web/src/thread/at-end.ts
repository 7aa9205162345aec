import type { ShownReply } from 'tidings-client';

type Reply = Pick<ShownReply, 'id' | 'parent_id'>;

/**
 * Which of the replies that wait come under all rows of a thread, one under the other: none of them moves a row.
 * @param rows all of them, in the order in which a tree is read; replies to one post are in the order of their ids
 * @returns their ids
 */
export function atEnd(
  rootId: number,
  rows: readonly { reply: Reply }[],
  waiting: readonly Reply[],
): number[] {
  const parents = new Map(rows.map(({ reply }) => [reply.id, reply.parent_id]));
  // The last row, and what it answers, up to the first post.
  let last: number[] = [];
  let id = rows.at(-1)?.reply.id ?? null;
  while (id !== null && parents.has(id)) {
    last.unshift(id);
    id = parents.get(id) ?? null;
  }
  last.unshift(rootId);
  const found: number[] = [];
  for (const reply of [...waiting].sort((a, b) => a.id - b.id)) {
    const above = last.findIndex((one) => one === reply.parent_id);
    const before = last[above + 1];
    // One whose parent is not shown, or that is of before one that has been shown already, goes between others.
    if (above < 0 || (before !== undefined && before > reply.id)) continue;
    last = [...last.slice(0, above + 1), reply.id];
    found.push(reply.id);
  }
  return found;
}
