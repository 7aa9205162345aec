import type { Request, RequestHandler, Response } from 'express';
import { singleFlight } from '../async/single-flight.ts';
import { whenOver } from '../async/response-end.ts';
import { addressKey } from '../limits/address-key.ts';
import type { Logger } from '../logger.ts';
import type { PendingResponses } from '../http/pending-responses.ts';
import type { Metrics } from './metrics.ts';

/**
 * Times every request, under the pattern of its route so that the number of series stays small, and logs it: a failure
 * always, the others at `debug`.
 */
export function observe(metrics: Metrics, log: Logger): RequestHandler {
  return (req, res, next) => {
    const began = performance.now();
    whenOver(res, () => {
      const seconds = (performance.now() - began) / 1000;
      const route = (req.route as { path?: unknown } | undefined)?.path;
      metrics.requests.observe(
        {
          method: req.method,
          route: typeof route === 'string' ? route : 'other',
          status: String(res.statusCode),
        },
        seconds,
      );
      if (res.statusCode >= 500) log.error(lineOf(req, res, seconds), 'request failed');
      else if (log.isLevelEnabled('debug')) log.debug(lineOf(req, res, seconds), 'request');
    });
    next();
  };
}

/** What is logged of a request: its path without the query, where somebody may have put a token. */
function lineOf(req: Request, res: Response, seconds: number): object {
  return {
    request_id: res.getHeader('X-Request-Id'),
    method: req.method,
    path: req.originalUrl.split('?', 1)[0],
    address: req.ip,
    status: res.statusCode,
    finished: res.writableFinished,
    milliseconds: Math.round(seconds * 1000),
  };
}

/**
 * `/metrics` in the format of Prometheus; with several workers `read` gives those of all of them. One scrape is in
 * progress at a time.
 */
export function serveMetrics(
  metrics: Metrics,
  pendingResponses: PendingResponses,
  read: () => Promise<string> = () => metrics.registry.metrics(),
): RequestHandler {
  const scrape = singleFlight(read);
  return async (req, res) => {
    res.set('Content-Type', metrics.registry.contentType).set('Cache-Control', 'no-store');
    const text = await scrape();
    res.send(text);
    pendingResponses.given(res, text.length, () => [`a${addressKey(req.ip ?? '')}`]);
  };
}
