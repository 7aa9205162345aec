import type { CorsOptions } from 'cors';
import type { RequestGuard } from './request-guard.ts';

/** What a page of another origin may read of an answer, beside its body. */
const EXPOSED = [
  'Content-Disposition',
  'ETag',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'X-Feed-Ahead',
  'X-Feed-Epoch',
  'X-Feed-Seq',
  'X-Request-Id',
];

/** CORS for pages on the list, however they spell their origin; the same in REST and under the path of the sockets. */
export function crossOrigin(origins: readonly string[], guard: RequestGuard): CorsOptions {
  const all = origins.includes('*');
  return {
    origin: all
      ? '*'
      : (origin, decide) => decide(null, origin !== undefined && guard.isListed(origin) ? [origin] : []),
    credentials: !all,
    exposedHeaders: EXPOSED,
    maxAge: 600,
  };
}
