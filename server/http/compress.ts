import { availableParallelism } from 'node:os';
import compression from 'compression';
import type { Request, RequestHandler, Response } from 'express';
import { whenOver } from './response-end.ts';

/** An answer from this length on is large. Bytes. */
const LARGE = 64 * 1024;
/**
 * Large answers that are compressed at once. It is done by libuv's threads, of which there are four, for nearly as many cores
 * as there are: a flood of large pages would leave none to the hashes of passwords.
 */
const AT_ONCE = availableParallelism() >= 4 ? 2 : 1;

/**
 * Compresses answers for whoever takes that. The rest pass by: compression wraps the methods of each response and waits
 * for its head, also for those who never asked. All are told that it depends on the header, for the caches on the way. Large
 * answers leave as they are while as many are being compressed as may be.
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
