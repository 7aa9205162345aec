import type { Request } from 'express';
import Joi from 'joi';
import { AppError } from '../errors.ts';
import type { Preconditions, TagList } from '../preconditions.ts';

/** The headers of conditional requests (RFC 9110, section 13): what they say, and where there is nothing to hold them against. */

/** Preconditions that are about writing, or make sense of it. */
const writeConditions = ['if-match', 'if-none-match', 'if-unmodified-since'] as const;

const TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** Any string: a malformed precondition is a 412, like one that does not match. */
const condition = Joi.string().allow('');
// Examples that hold whatever the state is.
const ifMatch = condition.example('*');
const ifNoneMatch = condition.example('"0"');
const ifUnmodifiedSince = condition.example('Fri, 31 Dec 2100 23:59:59 GMT');

/** For the `headers` of a route that changes something which has tags but no date of modification. */
export const tagPreconditions = {
  'If-Match': {
    description:
      'Execute the request only if one of these tags (each an `ETag` of an earlier response) still matches; otherwise 412',
    schema: ifMatch,
  },
  'If-None-Match': {
    description: 'Execute the request only if none of these tags matches. `*` matches any existing resource',
    schema: ifNoneMatch,
  },
};

/** The same for what has a date of modification as well. */
export const writePreconditions = {
  ...tagPreconditions,
  'If-Unmodified-Since': {
    description:
      'Execute the request only if `updated_at` is no later, to the second. Ignored beside `If-Match`, which is exact',
    schema: ifUnmodifiedSince,
  },
};

/** For the `headers` of a route that reads one thing with an `ETag`. */
export const readPreconditions = {
  'If-None-Match': {
    description: 'Respond 304 if one of these tags still matches',
    schema: ifNoneMatch,
  },
  'If-Match': { description: 'Respond 412 unless one of these tags still matches', schema: ifMatch },
};

export function preconditionsOf(req: Request): Preconditions {
  // Of some headers that come twice Node passes on the first alone.
  const [match, noneMatch, since] = writeConditions.map((name) => req.headersDistinct[name]?.join(', '));
  return {
    ...(match === undefined ? {} : { ifMatch: readTags(match) }),
    ...(noneMatch === undefined ? {} : { ifNoneMatch: readTags(noneMatch) }),
    ...(since === undefined ? {} : { ifUnmodifiedSince: readDate(since) }),
  };
}

/**
 * Refuses what a route without validators cannot evaluate. A read continues where nothing is lost by it: without a tag
 * no `If-None-Match` matches, and without a date of modification RFC 9110 has the dates ignored.
 * @throws {AppError} 412
 */
export function refusePreconditions(req: Request): void {
  const reads = req.method === 'GET' || req.method === 'HEAD';
  const name = writeConditions.find((given) => req.headers[given] !== undefined);
  if (name === undefined) return;
  if (reads && (name !== 'if-match' || req.headers['if-match']?.trim() === '*')) return;
  throw new AppError(
    'version_mismatch',
    `${req.method} ${req.path.slice(0, 200)} does not support ${capitalised(name)}, so nothing was done. Leave the header out.`,
  );
}

/**
 * Whether `If-None-Match` says that the requester has this representation already. `Cache-Control: no-cache` beside it changes
 * nothing: it speaks to caches, and `fetch` adds it by itself.
 */
export function isNotModified(req: Request, etag: string | undefined): boolean {
  const given = req.get('if-none-match');
  if (given === undefined) return false;
  const tags = readTags(given);
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

function capitalised(header: string): string {
  return header.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());
}
