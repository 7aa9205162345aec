import { invalid } from '../errors.ts';
import { preconditionsOf, readPreconditions, tagPreconditions } from '../api/preconditions.ts';
import { problem } from '../api/problem.ts';
import { Json, Reply, routesOf } from '../api/route.ts';
import { check } from '../api/schema.ts';
import * as commands from './commands.ts';
import type { UserContext } from './context.ts';
import { accountTag, type OwnUser } from './present.ts';
import * as queries from './queries.ts';
import * as schemas from './schemas.ts';

const etag = { ETag: 'Changes with whatever is shown here; for `If-Match` and `If-None-Match`' };

/** An account with its tag. */
function tagged(account: OwnUser, headers: Record<string, string> = {}): Reply {
  return new Reply(new Json(JSON.stringify(account)), {
    headers: { ...headers, ETag: `"${accountTag(account)}"` },
  });
}

const route = routesOf<UserContext>();

export const userRoutes = [
  route({
    method: 'post',
    path: '/users',
    summary: 'Sign up',
    description:
      'Logs nobody in: `POST /login` comes next. `sign_up` of `GET /` tells who may: anyone (`open`), who has an invitation of the operator (`invite`), or nobody (`closed`). Both refusals are a 403 with a `type` of their own.',
    tag: 'Users',
    access: 'anyone',
    limit: 'signup',
    body: schemas.signUp,
    answers: { 201: schemas.ownUser, 403: problem, 409: problem, 422: problem, 429: problem },
    answerHeaders: { Location: 'Where the public profile is' },
    handle: async ({ ctx, body, asker }) => {
      const user = await commands.signUp(ctx, body, asker);
      return new Reply(user, { headers: { Location: `/users/${user.id}` } });
    },
  }),
  route({
    method: 'get',
    path: '/users/me',
    summary: 'Your own account',
    description: 'With the e-mail address, which nobody else is shown.',
    tag: 'Users',
    access: 'user',
    limit: 'read',
    headers: readPreconditions,
    answers: {
      200: schemas.ownUser,
      304: 'The account is still as that tag says.',
      401: problem,
      412: problem,
    },
    answerHeaders: etag,
    handle: async ({ ctx, user, asker, req }) => {
      const account = await queries.ownView(ctx, user, asker);
      const { ifMatch } = preconditionsOf(req);
      if (ifMatch !== undefined) commands.requireUnchanged(account, { ifMatch });
      return tagged(account, { 'Cache-Control': 'private, no-cache' });
    },
  }),
  route({
    method: 'patch',
    path: '/users/me',
    summary: 'Change your account',
    description:
      'A new e-mail address or password needs the current password. A new password ends all other sessions. A new name is told of each of your posts, so you may take ten in an hour; of thousands of posts it is told in pieces, and the last ones may be told after the answer.',
    tag: 'Users',
    access: 'user',
    limit: 'login',
    body: schemas.editUser,
    consumes: ['application/json', 'application/merge-patch+json'],
    headers: tagPreconditions,
    answers: {
      200: schemas.ownUser,
      401: problem,
      403: problem,
      409: problem,
      412: problem,
      422: problem,
      429: problem,
    },
    answerHeaders: etag,
    handle: async ({ ctx, user, body, asker, req, res }) => {
      const { username } = body;
      const own = username === undefined ? undefined : (await queries.ownView(ctx, user, asker)).username;
      // What one says again is no change.
      if (username !== own) {
        // Nor does another case make one's name another.
        const { errors } =
          username?.toLowerCase() === own?.toLowerCase()
            ? {}
            : check(schemas.chosenName, 'body', { username });
        if (errors) throw invalid(errors, errors.length);
        await ctx.countRequest('rename', req, res, user);
      }
      return tagged(await commands.editUser(ctx, user, body, asker, preconditionsOf(req)));
    },
  }),
  route({
    method: 'delete',
    path: '/users/me',
    summary: 'Delete your account with your posts and votes',
    description:
      'All its sessions end, the tallies follow, and every client is told of each published post that it is gone. The account, its name and its posts are out of every list at once; of an account with tens of thousands of posts or votes the last of these events and tallies may follow the answer, which is then a 202.',
    tag: 'Users',
    access: 'user',
    limit: 'login',
    body: schemas.deleteUser,
    headers: tagPreconditions,
    answers: {
      204: 'The account is gone, with all that it had.',
      202: 'The account is gone. The rest of its posts and votes is being deleted.',
      401: problem,
      403: problem,
      412: problem,
      422: problem,
      429: problem,
    },
    handle: async ({ ctx, user, body, asker, req }) => {
      const isAllGone = await commands.deleteUser(ctx, user, body.password, asker, preconditionsOf(req));
      return new Reply(undefined, { status: isAllGone ? 204 : 202 });
    },
  }),
  route({
    method: 'get',
    path: '/users/:id',
    summary: 'A public profile',
    description: 'What everybody may know of a user.',
    tag: 'Users',
    access: 'anyone',
    limit: 'read',
    params: schemas.userParams,
    answers: { 200: schemas.publicUser, 404: problem, 422: problem },
    handle: ({ ctx, params, asker }) => queries.publicProfile(ctx, params.id, asker),
  }),
];
