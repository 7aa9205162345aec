import { decodeCursor, encodeCursor, isCount } from '../keyset-cursor.ts';

/** The lists of moderators, by which their cursors are told apart. */
export type ModerationList = 'moderation-log' | 'moderation-cases';

/** An opaque string for the `Link` header. @param id the last of a page */
export function writeCursor(list: ModerationList, id: number): string {
  return encodeCursor(list, id, id);
}

/** The cursor in a string; undefined if it is not one, or of another list. */
export function readCursor(list: ModerationList, cursor: string): number | undefined {
  const { id } = decodeCursor(cursor, list) ?? {};
  return isCount(id) ? id : undefined;
}
