import { decodeCursor, encodeCursor, isCount } from '../keyset-cursor.ts';

/** The lists of relations, by whose and which. */
export type RelationList = 'followers' | 'following' | 'blocks' | 'mutes';

/** The last relation of a page. */
export interface RelationCursor {
  /** When it began, in microseconds since 1970. */
  moment: number;
  /** The other user. */
  id: number;
}

/** An opaque string for the `Link` header. */
export function writeCursor(list: RelationList, { moment, id }: RelationCursor): string {
  return encodeCursor(list, moment, id);
}

/** The cursor in a string; undefined if it is not one, or of another list. */
export function readCursor(cursor: string, list: RelationList): RelationCursor | undefined {
  const { key: moment, id } = decodeCursor(cursor, list) ?? {};
  return isCount(moment) && isCount(id) ? { moment, id } : undefined;
}
