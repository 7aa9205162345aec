import { randomUUID } from 'node:crypto';
import cors from 'cors';
import express, { type Express, type RequestHandler } from 'express';
import type { Context } from './context.ts';
import { bearerAuthentication } from './auth/authenticate.ts';
import { authRoutes } from './auth/routes.ts';
import { eventTypes } from './event-registry.ts';
import { asyncApiDocument } from './docs/asyncapi.ts';
import { bodyReader } from './api/body.ts';
import { compress } from './http/compress.ts';
import { crossOrigin } from './http/cross-origin.ts';
import { serviceOperations } from './docs/service-operations.ts';
import { mountDocuments } from './docs/documents.ts';
import { errorHandler, notFound, requireHost } from './api/errors.ts';
import { refuseWhile } from './errors.ts';
import { type HealthCheck, mountHealth } from './ops/health.ts';
import { type HomeOptions, isSharedPlace, mountHome, mountSharedPlaces } from './docs/home.ts';
import { methodNotAllowed } from './api/method-not-allowed.ts';
import { observe, serveMetrics } from './ops/observe.ts';
import { openApiDocument } from './docs/openapi.ts';
import { directRoutes } from './api/direct-routes.ts';
import { type Route, routeHandlers } from './api/route.ts';
import { secure } from './http/security-headers.ts';
import { moderatorCheck } from './moderation/authorise.ts';
import { moderationRoutes } from './moderation/routes.ts';
import { notificationRoutes } from './notifications/routes.ts';
import { postRoutes } from './posts/routes.ts';
import { postLink, tagLink } from './posts/shared-link.ts';
import { requesterOf } from './api/requester.ts';
import { relationRoutes } from './relations/routes.ts';
import { exportRoutes } from './export/routes.ts';
import { streamRoutes } from './events/routes.ts';
import { verifiedCheck } from './users/authorise.ts';
import { userRoutes } from './users/routes.ts';
import { userLink } from './users/shared-link.ts';
import { version } from './version.ts';
import { webhookRoutes } from './webhooks/routes.ts';
import { voteRoutes } from './votes/routes.ts';
import { tally } from './votes/schemas.ts';

/** Every route of the API. The OpenAPI document is generated from this list. */
export const routes: readonly Route<Context>[] = [
  ...authRoutes,
  ...userRoutes,
  ...relationRoutes,
  ...postRoutes,
  ...voteRoutes,
  ...notificationRoutes,
  ...moderationRoutes,
  ...exportRoutes,
  ...webhookRoutes,
  ...streamRoutes(eventTypes),
];

export interface AppOptions {
  checks: readonly HealthCheck[];
  draining: () => boolean;
  /** The metrics of all workers together, where there are several. */
  readMetrics?: () => Promise<string>;
}

/** The way of a request through the middleware, from top to bottom. */
export function createApp(ctx: Context, { checks, draining, readMetrics }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // posts have their own ETag; Express would hash every response for nothing
  app.set('trust proxy', ctx.config.trustProxy);
  app.set('query parser', 'simple'); // no nested objects: a query is flat, and a repeated key is an error

  const origins = ctx.config.corsOrigins;
  const middleware: RequestHandler[] = [
    (req, res, next) => {
      const given = req.get('x-request-id');
      res.set('X-Request-Id', given !== undefined && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID());
      next();
    },
    observe(ctx.metrics, ctx.log),
    requireHost(ctx.guard),
    secure(),
    ...(origins.length > 0 ? [cors(crossOrigin(origins, ctx.guard))] : []),
    compress(),
  ];
  const handlers = routeHandlers(routes, {
    ctx,
    publicRead: ctx.config.publicRead,
    authenticate: bearerAuthentication(ctx),
    requireModerator: moderatorCheck(ctx),
    requireVerified: verifiedCheck(ctx),
    limit: (name, req, res, user) => ctx.countRequest(name, req, res, user),
    readBody: bodyReader,
  });
  app.use(
    directRoutes(
      middleware,
      handlers.filter(({ path }) => !isSharedPlace(path)),
    ),
  );
  app.use(...middleware);

  const home: HomeOptions = {
    ...ctx.config,
    sendsMail: ctx.mails.enabled,
    describe: async (place, req, res) => {
      refuseWhile(ctx.schema.absence);
      await ctx.countRequest('read', req, res, undefined);
      const requester = requesterOf(req, res, undefined);
      if ('postId' in place) return postLink(ctx, place.postId, requester);
      return 'tag' in place ? tagLink(ctx, place.tag, requester) : userLink(ctx, place.username, requester);
    },
  };
  mountSharedPlaces(app, home);
  // Before the pages: routes are compared in order, and most requests are for the API.
  for (const { method, path, handle } of handlers) app[method](path, handle);
  mountHealth(app, checks, draining);
  app.get('/metrics', serveMetrics(ctx.metrics, ctx.pendingResponses, readMetrics));
  mountDocuments(app, {
    openapi: (epoch) =>
      openApiDocument(routes, {
        version,
        server: ctx.config.serviceUrl,
        epoch,
        publicRead: ctx.config.publicRead,
      }),
    epoch: () => ctx.feed.epoch,
    asyncapi: () => asyncApiDocument(eventTypes, { tally }, version),
  });
  mountHome(app, home);

  app.use(
    methodNotAllowed([...routes, ...serviceOperations.map(({ path }) => ({ method: 'get' as const, path }))]),
  );
  app.use(notFound);
  app.use(errorHandler(ctx.log));
  return app;
}
