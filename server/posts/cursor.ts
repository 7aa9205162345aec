import { decodeCursor, encodeCursor } from '../keyset-cursor.ts';

/** The sort orders of a list of posts. */
export const sorts = ['new', 'top', 'hot'] as const;
export type Sort = (typeof sorts)[number];

/** Those of a list of replies. */
export const threadSorts = ['old', 'new', 'top'] as const;
export type ThreadSort = (typeof threadSorts)[number];

/** Which list a cursor belongs to. */
type Order = Sort | `thread:${ThreadSort}`;

/** The last row of a page. */
export interface Cursor {
  /** The sort key as PostgreSQL writes it, so that none of its precision is lost. */
  key: string;
  id: number;
}

const keyShape: Record<Order, RegExp> = {
  new: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/,
  top: /^\d{1,10}$/,
  hot: /^-?\d{1,10}(\.\d{1,20})?$/,
  'thread:old': /^\d{1,16}$/,
  'thread:new': /^\d{1,16}$/,
  'thread:top': /^\d{1,10}$/,
};

/** An opaque string for the `Link` header. */
export function writeCursor(sort: Order, { key, id }: Cursor): string {
  return encodeCursor(sort, key, id);
}

/** The cursor in a string; undefined if it is not one, or of another sort. */
export function readCursor(cursor: string, sort: Order): Cursor | undefined {
  const { key, id } = decodeCursor(cursor, sort) ?? {};
  if (typeof key !== 'string' || !keyShape[sort].test(key)) return undefined;
  if ((sort === 'top' || sort === 'thread:top') && Number(key) > 2_147_483_647) return undefined;
  if (sort === 'new' && !isMoment(key.slice(0, 19))) return undefined;
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 1) return undefined;
  return { key, id };
}

/** Whether there is such a second: a `Date` would take the 31st of February for the 3rd of March. */
function isMoment(second: string): boolean {
  const written = second.replace(' ', 'T');
  const moment = new Date(`${written}Z`);
  return !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(written);
}
