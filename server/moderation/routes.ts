import { linkHeader, linkHeaderOf, pageHeaders, pageHeadersOf } from '../api/list-page.ts';
import { problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import * as commands from './commands.ts';
import type { ModerationContext } from './context.ts';
import * as queries from './queries.ts';
import { reportPost, reportUser } from './reports.ts';
import * as schemas from './schemas.ts';

const route = routesOf<ModerationContext>('Moderation');

const ofReport = {
  method: 'put',
  description:
    'Moderators are told. One report of a user for each target: a second one takes the place of the first, until the case is resolved.',
  scope: 'write',
  limit: 'report',
  params: schemas.reportParams,
  body: schemas.fileReport,
  answers: { 204: 'Moderators will look at it.', ...problems(401, 404, 422, 429) },
} as const;

export const moderationRoutes = [
  route({
    ...ofReport,
    path: '/posts/:id/report',
    summary: 'Report a post (idempotent)',
    handle: ({ ctx, user, params, body, requester }) => reportPost(ctx, user, params.id, body, requester),
  }),
  route({
    ...ofReport,
    path: '/users/:id/report',
    summary: 'Report a user (idempotent)',
    handle: ({ ctx, user, params, body, requester }) => reportUser(ctx, user, params.id, body, requester),
  }),
  route({
    method: 'get',
    path: '/moderation/cases',
    summary: 'What was reported',
    description:
      'For moderators: the newest first, each with its newest reports and the post as it is. An action on the post or the user resolves its case, and `dismiss` does so without one.',
    scope: 'moderate',
    role: 'moderator',
    query: schemas.listCases,
    answers: { 200: schemas.cases, ...problems(401, 403, 422, 429) },
    answerHeaders: pageHeadersOf('cases'),
    handle: async ({ ctx, user, query, requester, req }) => {
      const { cases, ...page } = await queries.casePage(ctx, user, query, requester);
      return new Reply(cases, { headers: pageHeaders('/moderation/cases', req.url, page) });
    },
  }),
  route({
    method: 'post',
    path: '/moderation/actions',
    summary: 'Act on a post or on a user',
    description:
      'For moderators. Nobody acts on themselves or on a higher role, and moderators not on moderators. The answer is its entry in the audit log. The user, or the owner of the post, is notified, and so are those who reported it.',
    scope: 'moderate',
    role: 'moderator',
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
    scope: 'moderate',
    role: 'moderator',
    query: schemas.listLog,
    answers: { 200: schemas.auditLog, ...problems(401, 403, 422, 429) },
    answerHeaders: linkHeaderOf('entries'),
    handle: async ({ ctx, query, requester, req }) => {
      const { entries, next } = await queries.auditPage(ctx, query, requester);
      return new Reply(entries, { headers: linkHeader('/moderation/log', req.url, next) });
    },
  }),
];
