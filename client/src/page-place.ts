import type { FeedPosition } from './contract.ts';
import { TidingsError } from './tidings-error.ts';

/** Which page of a list is wanted. */
export interface PageOptions {
  /** 1 to 100. The server's default is 10; of notifications, and of what moderators read, 20. */
  limit?: number;
  /** `next` of the page before. */
  cursor?: string | undefined;
  signal?: AbortSignal;
}

/** Where a page of a list stands: in the list, and in the feed. */
export interface PagePlace {
  /** The cursor of the next page; undefined on the last. */
  next: string | undefined;
  /** What the page reflects: a feed from here on misses nothing and repeats nothing. */
  position: FeedPosition;
}

/** @throws {TidingsError} if the answer has no position */
export function placeOf(headers: Headers): PagePlace {
  return { next: nextCursor(headers), position: positionOf(headers) };
}

/** The cursor of the next page of a list; undefined on the last. */
export function nextCursor(headers: Headers): string | undefined {
  const url = /<([^>]*)>;\s*rel="next"/.exec(headers.get('link') ?? '')?.[1];
  return url === undefined
    ? undefined
    : (new URL(url, 'http://localhost').searchParams.get('cursor') ?? undefined);
}

function positionOf(headers: Headers): FeedPosition {
  const seq = headers.get('x-feed-seq');
  const epoch = headers.get('x-feed-epoch');
  if (seq === null || epoch === null) {
    throw new TidingsError('unexpected', 'The list has no position: does CORS expose the header X-Feed-Seq?');
  }
  return { seq: Number(seq), epoch };
}
