import Joi from 'joi';
import { problem } from '../http/problem.ts';
import { Reply, route } from '../http/route.ts';
import { eventsAfter, freshEvents, presentEvent } from './queries.ts';
import * as schemas from './schemas.ts';
import { serveStream } from './server-sent-events.ts';
import { newEventsFor } from './waiting.ts';

export const streamRoutes = [
  route({
    method: 'get',
    path: '/events',
    summary: 'Events after a position, for clients without Socket.IO',
    description:
      'At most `limit` events, and fewer if these would be more than about a megabyte: go on from the last until it is `head`. With `wait` the answer is held back until there is an event, at most so many seconds (long-polling).',
    tag: 'Events',
    access: 'user',
    limit: 'read',
    query: schemas.readEvents,
    answers: { 200: schemas.eventPage, 401: problem, 410: schemas.lostPosition, 422: problem, 429: problem },
    handle: async ({ ctx, user, query, res }) => {
      const after = query.after ?? ctx.feed.seq;
      let page = await eventsAfter(ctx, after, query.epoch, query.limit);
      if (page.entries.length === 0 && query.wait > 0) {
        await newEventsFor(ctx, user, after, query.wait * 1000, res);
        if (res.destroyed) return undefined;
        page =
          freshEvents(ctx, after, page.epoch, query.limit) ??
          (await eventsAfter(ctx, after, query.epoch, query.limit));
      }
      return new Reply(
        { epoch: page.epoch, head: page.head, events: page.entries.map(presentEvent) },
        { headers: { 'Cache-Control': 'no-store' } },
      );
    },
  }),
  route({
    method: 'get',
    path: '/events/stream',
    summary: 'Events as they come (Server-Sent Events)',
    description:
      'Each event has its seq as `id`, so `Last-Event-ID` resumes where the stream broke off. A position that cannot be served is told as an event `reset` with the place to go on from. The stream ends with its token (`session:closed`).',
    tag: 'Events',
    access: 'user',
    limit: 'read',
    query: schemas.streamEvents,
    headers: {
      'Last-Event-ID': {
        description: 'The last seq that you have seen, with its epoch: `seq` or `epoch:seq`',
        schema: Joi.string()
          .pattern(/^([0-9a-f-]{36}:)?\d{1,15}$/, 'seq or epoch:seq')
          .example('0'),
        // As a browser sends that has seen no event.
        emptyIsAbsent: true,
      },
    },
    produces: 'text/event-stream',
    answers: { 200: 'A stream of events.', 401: problem, 422: problem, 429: problem },
    handle: ({ ctx, user, query, req, res }) => serveStream(ctx, user, query, req, res),
  }),
];
