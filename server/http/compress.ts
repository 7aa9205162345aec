import compression from 'compression';
import type { RequestHandler } from 'express';

/**
 * Compresses answers for whoever takes that. The rest pass by: compression wraps the methods of each response and waits
 * for its head, also for those who never asked. All are told that it depends on the header, for the caches on the way.
 */
export function compress(): RequestHandler {
  const compressing = compression();
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
