import { pageHeaders, pageHeadersOf } from '../api/list-page.ts';
import { problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import * as commands from './commands.ts';
import type { NotificationContext } from './context.ts';
import * as queries from './queries.ts';
import * as schemas from './schemas.ts';

const route = routesOf<NotificationContext>('Notifications');

export const notificationRoutes = [
  route({
    method: 'get',
    path: '/notifications',
    summary: 'Your notifications',
    description:
      'The newest first, with how many are unread. Of each user the newest thousand are kept. Live they come as events, on all of your devices.',
    scope: 'read',
    query: schemas.listNotifications,
    answers: { 200: schemas.notifications, ...problems(401, 422, 429) },
    answerHeaders: pageHeadersOf('notifications'),
    handle: async ({ ctx, user, query, requester, req }) => {
      const { notifications, unread, rev, ...page } = await queries.notificationPage(
        ctx,
        user,
        query,
        requester,
      );
      return new Reply(
        { notifications, unread, rev },
        { headers: pageHeaders('/notifications', req.url, page) },
      );
    },
  }),
  route({
    method: 'put',
    path: '/notifications/read',
    summary: 'Mark your notifications as read (idempotent)',
    description:
      'On all of your devices. Only what you have seen: those whose `rev` is at most `up_to`. What was added or renewed since stays unread.',
    scope: 'write',
    body: schemas.markRead,
    answers: { 200: schemas.notificationState, ...problems(401, 422, 429) },
    handle: ({ ctx, user, body, requester }) => commands.markRead(ctx, user, body.up_to, requester),
  }),
];
