import { decodeCursor, encodeCursor, invalidCursor, isCount } from '../keyset-cursor.ts';
import { isUuid } from '../text/uuid.ts';

const LIST = 'sessions';

/** The last session of a page. */
export interface SessionCursor {
  /** The login, in microseconds since 1970. */
  moment: number;
  id: string;
}

/** An opaque string for the `Link` header. */
export function writeSessionCursor({ moment, id }: SessionCursor): string {
  return encodeCursor(LIST, moment, id);
}

/** @throws {AppError} 422 unless it is a cursor of this list */
export function readSessionCursor(cursor: string): SessionCursor {
  const { key: moment, id } = decodeCursor(cursor, LIST) ?? {};
  if (!isCount(moment) || !isUuid(id)) throw invalidCursor();
  return { moment, id };
}
