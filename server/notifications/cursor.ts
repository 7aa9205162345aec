import { decodeCursor, encodeCursor, isCount } from '../keyset-cursor.ts';

const LIST = 'notifications';

/** The last notification of a page. */
export interface NotificationCursor {
  rev: number;
  id: number;
}

/** An opaque string for the `Link` header. */
export function writeCursor({ rev, id }: NotificationCursor): string {
  return encodeCursor(LIST, rev, id);
}

/** The cursor in a string; undefined if it is not one, or of another list. */
export function readCursor(cursor: string): NotificationCursor | undefined {
  const { key: rev, id } = decodeCursor(cursor, LIST) ?? {};
  return isCount(rev) && isCount(id) ? { rev, id } : undefined;
}
