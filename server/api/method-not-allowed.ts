import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';
import type { Route } from './route.ts';

/** What answers at a path, `:name` standing for any part. */
type Operation = Pick<Route, 'method' | 'path'>;

/** Responds with 405 and `Allow` if the path exists but not with this method; otherwise the 404 handler follows. */
export function methodNotAllowed(routes: readonly Operation[]): RequestHandler {
  const patterns = [...new Set(routes.map((route) => route.path))].map((path) => ({
    pattern: new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}/?$`),
    allow: routes.filter((route) => route.path === path).map((route) => route.method.toUpperCase()),
  }));
  return (req, _res, next) => {
    const found = patterns.filter(({ pattern }) => pattern.test(req.path));
    const allow = [...new Set(found.flatMap((one) => one.allow))];
    if (allow.length === 0) next();
    else {
      next(
        new AppError(
          'method_not_allowed',
          `${req.method} is not allowed here. Allowed: ${allow.join(', ')}.`,
          {
            headers: { Allow: allow.join(', ') },
          },
        ),
      );
    }
  };
}
