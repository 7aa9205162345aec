import type { RequestHandler } from 'express';
import type { Metrics } from './metrics.ts';

/** Times every request under the pattern of its route, so that the number of series stays small. */
export function observe(metrics: Metrics): RequestHandler {
  return (req, res, next) => {
    const began = performance.now();
    res.once('finish', () => {
      const route = (req.route as { path?: unknown } | undefined)?.path;
      metrics.requests.observe(
        {
          method: req.method,
          route: typeof route === 'string' ? route : 'other',
          status: String(res.statusCode),
        },
        (performance.now() - began) / 1000,
      );
    });
    next();
  };
}

/** `/metrics` in the format of Prometheus; with several workers `read` gives those of all of them. */
export function serveMetrics(
  metrics: Metrics,
  read: () => Promise<string> = () => metrics.registry.metrics(),
): RequestHandler {
  return async (_req, res) => {
    res.set('Content-Type', metrics.registry.contentType).set('Cache-Control', 'no-store');
    res.send(await read());
  };
}
