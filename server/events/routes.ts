import Joi from 'joi';
import { problems } from '../api/problem.ts';
import { Reply, type Route, routesOf } from '../api/route.ts';
import type { DeclaredEvent } from '../topics/event-type.ts';
import type { EntryContext } from '../transports/entry.ts';
import { pollEvents } from '../transports/long-poll/long-poll.ts';
import { openEventStream } from '../transports/sse/event-stream.ts';
import * as schemas from './schemas.ts';

const route = routesOf<EntryContext>('Events');

/** @param events what may be in the log */
export const streamRoutes = (events: readonly DeclaredEvent[]): readonly Route<EntryContext>[] => [
  route({
    method: 'get',
    path: '/events',
    summary: 'Events after a position, for clients without Socket.IO',
    description:
      'At most `limit` events of your topics, and fewer if they exceed about a megabyte: continue from the last one, or from `head` when there are none. With `wait` the response waits for an event, at most that many seconds (long-polling); a waiting request counts as a connection of its user and address, like a stream.',
    scope: 'read',
    query: schemas.readEvents,
    answers: { 200: schemas.eventPageOf(events), 410: schemas.lostPosition, ...problems(401, 422, 429, 503) },
    handle: async ({ ctx, user, query, res }) => {
      const page = await pollEvents(ctx, user, query, res);
      return new Reply(page, { headers: { 'Cache-Control': 'no-store' } });
    },
  }),
  route({
    method: 'get',
    path: '/events/stream',
    summary: 'Events as they come (Server-Sent Events)',
    description:
      'Each event has its seq as `id`, so `Last-Event-ID` resumes where the stream broke off. Its data is as in `GET /events`, with `prev` as one more member: between `prev` and its own number there is nothing for you. From time to time an event `feed:head` with `seq` and `prev` says that there is nothing for you up to its `id`, so a quiet stream resumes without a loss, too. A position that cannot be served gets an event `reset` with the position to continue from. The stream ends with its token (`session:closed`). It counts as a connection of its user and address: 429 if their share is used up, 503 if the node is full.',
    scope: 'read',
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
    answers: { 200: 'A stream of events.', ...problems(401, 422, 429, 503) },
    handle: ({ ctx, user, query, req, res }) => openEventStream(ctx, user, query, req, res),
  }),
];
