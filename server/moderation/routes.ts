import { linkHeader, linkHeaderOf } from '../api/list-page.ts';
import { problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import * as commands from './commands.ts';
import type { ModerationContext } from './context.ts';
import * as queries from './queries.ts';
import * as schemas from './schemas.ts';

const route = routesOf<ModerationContext>();

export const moderationRoutes = [
  route({
    method: 'post',
    path: '/moderation/actions',
    summary: 'Act on a post or on a user',
    description:
      'For moderators. Nobody acts on themselves or on a higher role, and moderators not on moderators. The answer is its entry in the audit log.',
    tag: 'Moderation',
    access: 'user',
    role: 'moderator',
    limit: 'write',
    body: schemas.takeAction,
    answers: { 201: schemas.auditEntry, ...problems(401, 403, 404, 409, 422, 429) },
    handle: ({ ctx, user, body, requester }) => commands.takeAction(ctx, user, body, requester),
  }),
  route({
    method: 'get',
    path: '/moderation/log',
    summary: 'The audit log',
    description:
      'For moderators: what moderators and the operator did, the newest first. No entry is ever changed or deleted.',
    tag: 'Moderation',
    access: 'user',
    role: 'moderator',
    limit: 'read',
    query: schemas.listLog,
    answers: { 200: schemas.auditLog, ...problems(401, 403, 422, 429) },
    answerHeaders: linkHeaderOf('entries'),
    handle: async ({ ctx, query, requester, req }) => {
      const { entries, next } = await queries.auditPage(ctx, query, requester);
      return new Reply(entries, { headers: linkHeader('/moderation/log', req.url, next) });
    },
  }),
];
