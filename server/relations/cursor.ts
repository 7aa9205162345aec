/** The lists of relations, by whose and which. */
export type RelationList = 'followers' | 'following' | 'blocks' | 'mutes';

/** A keyset cursor: the last relation of a page. The next page begins after it, whatever has been added before it meanwhile. */
export interface RelationCursor {
  /** When it began, in microseconds since 1970. */
  moment: number;
  /** The other user. */
  id: number;
}

/** An opaque string for the `Link` header. */
export function writeCursor(list: RelationList, { moment, id }: RelationCursor): string {
  return Buffer.from(JSON.stringify([list, moment, id])).toString('base64url');
}

/** The cursor in a string; undefined if it is not one, or of another list. */
export function readCursor(cursor: string, list: RelationList): RelationCursor | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 3 || parts[0] !== list) return undefined;
  const [, moment, id] = parts as unknown[];
  return isCount(moment) && isCount(id) ? { moment, id } : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
