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

/** `/metrics` in the format of Prometheus. */
export function serveMetrics(metrics: Metrics): RequestHandler {
  return async (_req, res) => {
    res.set('Content-Type', metrics.registry.contentType).set('Cache-Control', 'no-store');
    res.send(await metrics.registry.metrics());
  };
}
