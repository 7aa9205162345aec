import type { RequestHandler } from 'express';
import type { RouteHandler } from './route.ts';

/**
 * Serves the routes whose path has no parameters, through the same middleware and checks as all others but without
 * Express's router, which would compare a request with the pattern of each route before its own. What is not written
 * exactly as the route is left to the router: another case, a slash behind it, HEAD.
 */
export function directRoutes(
  middleware: readonly RequestHandler[],
  routes: readonly RouteHandler[],
): RequestHandler {
  const byTarget = new Map<string, RouteHandler>();
  for (const [at, route] of routes.entries())
    if (!route.path.includes(':') && !routes.slice(0, at).some((earlier) => isHiddenBy(route, earlier)))
      byTarget.set(`${route.method.toUpperCase()} ${route.path}`, route);
  return (req, res, next) => {
    const { url } = req;
    const end = url.indexOf('?');
    const route = byTarget.get(`${req.method} ${end < 0 ? url : url.slice(0, end)}`);
    if (!route) {
      next();
      return;
    }
    let at = 0;
    const pass = (error?: unknown) => {
      if (error !== undefined) {
        next(error);
        return;
      }
      const one = middleware[at];
      at += 1;
      try {
        if (one) void one(req, res, pass);
        else {
          // As the router says which route it is.
          req.route = route;
          route.handle(req, res).catch(next);
        }
      } catch (thrown) {
        next(thrown);
      }
    };
    pass();
  };
}

/** Whether the router would find an earlier route in place of one. */
function isHiddenBy(route: RouteHandler, earlier: RouteHandler): boolean {
  const [parts, patterns] = [route.path.split('/'), earlier.path.split('/')];
  return (
    earlier.method === route.method &&
    patterns.length === parts.length &&
    patterns.every((pattern, at) => pattern.startsWith(':') || pattern === parts[at])
  );
}
