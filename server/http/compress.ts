import { availableParallelism } from 'node:os';
import compression from 'compression';
import type { Request, RequestHandler, Response } from 'express';
import { whenOver } from '../async/response-end.ts';

/** An answer from this length on is large. Bytes. */
const LARGE = 64 * 1024;
/**
 * Large responses that are compressed at once. Compression uses libuv's four threads: a flood of large pages would
 * leave none for password hashes.
 */
const AT_ONCE = availableParallelism() >= 4 ? 2 : 1;

/**
 * Compresses responses for clients that accept it. Other responses bypass the middleware, which wraps the methods of
 * every response. `Vary` is set on all, for caches. Large responses are sent uncompressed while the maximum number is
 * being compressed.
 */
export function compress(): RequestHandler {
  let large = 0;
  const mayCompress = (req: Request, res: Response): boolean => {
    if (!compression.filter(req, res)) return false;
    if (Number(res.getHeader('Content-Length')) < LARGE || isLeftAlone(res)) return true;
    res.vary('Accept-Encoding');
    if (large >= AT_ONCE) return false;
    large += 1;
    whenOver(res, () => (large -= 1));
    return true;
  };
  const compressing = compression({ filter: mayCompress });
  return (req, res, next) => {
    // Not for streams: compression would hold events back.
    if (req.path === '/events/stream') next();
    else if (req.headers['accept-encoding'] !== undefined) compressing(req, res, next);
    else {
      res.vary('Accept-Encoding');
      next();
    }
  };
}

/** What compression passes over by itself. */
function isLeftAlone(res: Response): boolean {
  return (
    res.req.method === 'HEAD' ||
    res.hasHeader('Content-Encoding') ||
    String(res.getHeader('Cache-Control')).includes('no-transform')
  );
}
