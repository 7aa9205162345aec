import { createHash } from 'node:crypto';
import type { Request } from 'express';
import Joi from 'joi';
import { AppError } from '../errors.ts';

/**
 * Conditional requests (RFC 9110, section 13). No precondition is dropped: a route that has validators evaluates it, and a
 * write whose route has none is refused with 412, since whoever sent it asked for nothing to be done otherwise.
 */

/** `*`, or the opaque parts of the tags; `unreadable` if it is neither. */
type TagList = '*' | 'unreadable' | string[];

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

/** Preconditions that are about writing, or make sense of it. */
const writeConditions = ['if-match', 'if-none-match', 'if-unmodified-since'] as const;

const TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** What of a tag stands for all that a representation shows: digits, so that it can be told from what stands before it. */
export function digestOf(json: string): string {
  return String(createHash('sha256').update(json).digest().readBigUInt64BE());
}

/** Anything: a precondition that cannot be read does not hold, and is a 412 like every other that does not. */
const condition = Joi.string().allow('');

/** For the `headers` of a route that changes something which has tags but no date of modification. */
export const tagPreconditions = {
  'If-Match': {
    description:
      'Do it only if one of these tags (each an `ETag` of an earlier answer) still matches, else 412',
    schema: condition,
  },
  'If-None-Match': {
    description: 'Do it only if none of these tags matches. `*` matches whatever exists',
    schema: condition,
  },
};

/** The same for what has a date of modification as well. */
export const writePreconditions = {
  ...tagPreconditions,
  'If-Unmodified-Since': {
    description:
      'Do it only if `updated_at` is no later, to the second. Not looked at beside `If-Match`, which is exact',
    schema: condition,
  },
};

/** For the `headers` of a route that reads one thing with an `ETag`. */
export const readPreconditions = {
  'If-None-Match': {
    description: 'Answer 304 if one of these tags still matches',
    schema: condition,
  },
  'If-Match': { description: 'Answer 412 unless one of these tags still matches', schema: condition },
};

export function preconditionsOf(req: Request): Preconditions {
  // Of some headers that come twice Node passes on the first alone.
  const [ifMatch, ifNoneMatch, since] = writeConditions.map((name) => req.headersDistinct[name]?.join(', '));
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: readTags(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: readTags(ifNoneMatch) }),
    ...(since === undefined ? {} : { ifUnmodifiedSince: readDate(since) }),
  };
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
  const matchesSome = (tags: TagList) => tags === '*' || (tags !== 'unreadable' && tags.some(matches));
  const failed = (name: string) =>
    new AppError('version_mismatch', `${state} ${name} does not hold: read it again before you change it.`);
  if (ifMatch !== undefined) {
    if (!matchesSome(ifMatch)) throw failed('If-Match');
  } else if (ifUnmodifiedSince !== undefined && !(wholeSecond(modifiedAt) <= ifUnmodifiedSince)) {
    throw failed('If-Unmodified-Since');
  }
  if (ifNoneMatch !== undefined && (ifNoneMatch === 'unreadable' || matchesSome(ifNoneMatch)))
    throw failed('If-None-Match');
}

/**
 * Refuses what a route without validators cannot evaluate. A read goes on where nothing is lost by it: without a tag no
 * `If-None-Match` matches, and without a date of modification RFC 9110 has the dates ignored.
 * @throws {AppError} 412
 */
export function refusePreconditions(req: Request): void {
  const reads = req.method === 'GET' || req.method === 'HEAD';
  const name = writeConditions.find((given) => req.headers[given] !== undefined);
  if (name === undefined) return;
  if (reads && (name !== 'if-match' || req.headers['if-match']?.trim() === '*')) return;
  throw new AppError(
    'version_mismatch',
    `${req.method} ${req.path.slice(0, 200)} has nothing that ${capitalised(name)} could be held against, so nothing was done. Leave it out.`,
  );
}

/**
 * Whether `If-None-Match` says that the asker has this representation already. `Cache-Control: no-cache` beside it changes
 * nothing: it speaks to caches, and `fetch` adds it by itself.
 */
export function isNotModified(req: Request, etag: string | undefined): boolean {
  const ifNoneMatch = req.get('if-none-match');
  if (ifNoneMatch === undefined) return false;
  const tags = readTags(ifNoneMatch);
  if (tags === 'unreadable') return false;
  return tags === '*' || (etag !== undefined && tags.some((tag) => etag === `"${tag}"`));
}

function readTags(header: string): TagList {
  if (header.trim() === '*') return '*';
  if (!isList(header)) return 'unreadable';
  return [...header.matchAll(/"([^"]*)"/g)].map(([, opaque]) => opaque ?? '');
}

/** Token by token: one expression for the whole list could be made to backtrack for long. */
function isList(header: string): boolean {
  const left = header.replaceAll(TAG, 'T').replaceAll(/[ \t]/g, '');
  return left.split(',').every((member) => member === '' || member === 'T') && left.includes('T');
}

/** The three forms of RFC 9110, 5.6.7, of which the later two are obsolete and still to be read. */
const DATES = [
  /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
  /^[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/,
];

/** @returns milliseconds since 1970; NaN if it is no date */
function readDate(text: string): number {
  const form = DATES.findIndex((shape) => shape.test(text));
  return form < 0 ? NaN : Date.parse(form === 2 ? `${text} GMT` : text);
}

/** NaN, which is never before anything, if there is none. */
function wholeSecond(moment: Date | undefined): number {
  return moment === undefined ? NaN : Math.floor(moment.getTime() / 1000) * 1000;
}

function capitalised(header: string): string {
  return header.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());
}
