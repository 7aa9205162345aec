import { problems } from '../api/problem.ts';
import { routesOf } from '../api/route.ts';
import { postParams } from '../posts/schemas.ts';
import * as commands from './commands.ts';
import type { VoteContext } from './context.ts';
import * as schemas from './schemas.ts';

const route = routesOf<VoteContext>('Votes');

export const voteRoutes = [
  route({
    method: 'post',
    path: '/vote',
    summary: 'Vote for a post (dir 1) or take the vote back (dir 0)',
    description:
      'Voting a second time is a 409, and taking back a vote that is not there a 404. `PUT` and `DELETE /posts/{id}/vote` may be repeated. Votes for one post from one address are limited per hour: more are a 429. A vote for a post of somebody who blocks you, or whom you block, is a 403.',
    scope: 'write',
    body: schemas.castVote,
    answers: { 201: schemas.voteView, ...problems(401, 403, 404, 409, 422, 429) },
    handle: ({ ctx, user, body, requester, req }) =>
      commands.castVote(ctx, user, body.post_id, body.dir === 1, requester, {
        strict: true,
        address: req.ip,
      }),
  }),
  route({
    method: 'put',
    path: '/posts/:id/vote',
    summary: 'Vote for a post (idempotent)',
    description:
      'Repeating the request is no error. Votes for one post from one address are limited per hour: more are a 429. A vote for a post of somebody who blocks you, or whom you block, is a 403.',
    scope: 'write',
    params: postParams,
    answers: { 200: schemas.voteView, ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, params, requester, req }) =>
      commands.castVote(ctx, user, params.id, true, requester, { strict: false, address: req.ip }),
  }),
  route({
    method: 'delete',
    path: '/posts/:id/vote',
    summary: 'Take a vote back (idempotent)',
    description: 'Repeating the request is no error.',
    scope: 'write',
    params: postParams,
    answers: { 200: schemas.voteView, ...problems(401, 404, 422, 429) },
    handle: ({ ctx, user, params, requester, req }) =>
      commands.castVote(ctx, user, params.id, false, requester, { strict: false, address: req.ip }),
  }),
];
