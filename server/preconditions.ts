import { createHash } from 'node:crypto';
import { AppError } from './errors.ts';

/**
 * Conditional requests (RFC 9110, section 13). No precondition is dropped: a route that has validators evaluates it,
 * and a write whose route has none is refused with 412, since anyone who sent it asked for nothing to be done
 * otherwise.
 */

/** `*`, or the opaque parts of the tags; `unreadable` if it is neither. */
export type TagList = '*' | 'unreadable' | string[];

/** What a request asks to hold before it is carried out. */
export interface Preconditions {
  ifMatch?: TagList;
  ifNoneMatch?: TagList;
  /** Milliseconds since 1970; NaN if it cannot be read. */
  ifUnmodifiedSince?: number;
}

/** The state of the target that preconditions are held against. It exists: a missing one is a 404 first. */
export interface Validators {
  /** Whether an opaque tag stands for the target as it is now. */
  matches: (tag: string) => boolean;
  /** To the second, as HTTP dates are. Without it `If-Unmodified-Since` fails. */
  modifiedAt?: Date;
  /** What the 412 says of the target: "The post is at version 2." */
  state: string;
}

/** What of a tag stands for all that a representation shows: digits, so that it can be told from what stands before it. */
export function digestOf(json: string | Buffer): string {
  return String(createHash('sha256').update(json).digest().readBigUInt64BE());
}

/**
 * Evaluates the preconditions of a write in the order of RFC 9110, 13.2.2, in the transaction that writes and with the
 * target's row locked.
 *
 * Weak tags count in `If-Match` too, against the RFC's strong comparison: a proxy that compresses weakens the tags of
 * what it forwards, and its clients could change nothing any more.
 * @throws {AppError} 412
 */
export function requirePreconditions(
  { ifMatch, ifNoneMatch, ifUnmodifiedSince }: Preconditions,
  { matches, modifiedAt, state }: Validators,
): void {
  const matchesSome = (tags: Exclude<TagList, 'unreadable'>) => tags === '*' || tags.some(matches);
  const failed = (name: string) =>
    new AppError('version_mismatch', `${state} ${name} does not hold: read it again before you change it.`);
  if (ifMatch === 'unreadable') throw malformed('If-Match', 'an ETag with its quotes, or *');
  if (ifMatch !== undefined) {
    if (!matchesSome(ifMatch)) throw failed('If-Match');
  } else if (Number.isNaN(ifUnmodifiedSince)) {
    throw malformed('If-Unmodified-Since', 'an HTTP date');
  } else if (ifUnmodifiedSince !== undefined && !(wholeSecond(modifiedAt) <= ifUnmodifiedSince)) {
    throw failed('If-Unmodified-Since');
  }
  if (ifNoneMatch === 'unreadable') throw malformed('If-None-Match', 'an ETag with its quotes, or *');
  if (ifNoneMatch !== undefined && matchesSome(ifNoneMatch)) throw failed('If-None-Match');
}

/** A tag without its quotes, say: that it does not match would not tell what is wrong. */
function malformed(name: string, expected: string): AppError {
  return new AppError('version_mismatch', `${name} must be ${expected}. Nothing was done.`);
}

/** NaN, which is never before anything, if there is none. */
function wholeSecond(moment: Date | undefined): number {
  return moment === undefined ? NaN : Math.floor(moment.getTime() / 1000) * 1000;
}
