import { AppError } from './errors.ts';

/** Entries of a page of any list, at most. */
export const MOST_OF_PAGE = 100;

/**
 * Keyset cursors: the last row of a page, as an opaque string for the `Link` header. The next page begins after that
 * row, whatever has been added before it meanwhile. A cursor says which list it belongs to, and what it holds each list
 * checks by itself.
 */
export function encodeCursor(list: string, key: string | number, id: string | number): string {
  return Buffer.from(JSON.stringify([list, key, id])).toString('base64url');
}

/** What a cursor holds, unchecked; undefined if it is no cursor, or one of another list. */
export function decodeCursor(cursor: string, list: string): { key: unknown; id: unknown } | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 3 || parts[0] !== list) return undefined;
  const [, key, id] = parts as unknown[];
  return { key, id };
}

/**
 * Where a page begins of a list that is sorted by two whole numbers, the highest first: before this row.
 * @param cursor of the page before; without it the page is the first
 * @throws {AppError} 422 for a cursor of another list
 */
export function placeBefore(list: string, cursor: string | undefined): { key: number; id: number } {
  if (cursor === undefined) return { key: Number.MAX_SAFE_INTEGER, id: Number.MAX_SAFE_INTEGER };
  const { key, id } = decodeCursor(cursor, list) ?? {};
  if (!isCount(key) || !isCount(id)) throw invalidCursor();
  return { key, id };
}

/** Whether what a cursor holds is a whole number from 0 on. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** The refusal of a cursor that a list does not know: 422. */
export function invalidCursor(): AppError {
  return new AppError('invalid', 'The cursor does not belong to this list.', {
    errors: [{ loc: ['query', 'cursor'], msg: '"cursor" does not belong to this list', type: 'any.invalid' }],
  });
}
