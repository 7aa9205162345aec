import { invalid } from '../errors.ts';
import { preconditionsOf, readPreconditions, tagPreconditions } from '../api/preconditions.ts';
import { problems } from '../api/problem.ts';
import { Json, Reply, routesOf } from '../api/route.ts';
import { check } from '../api/schema.ts';
import { sharedAnswer, sharedPreconditions } from '../api/shared-answer.ts';
import type { CountMail } from './addresses.ts';
import * as commands from './commands.ts';
import type { UserContext } from './context.ts';
import { askForVerification, undoEmailChange, verifyEmail } from './email-proofs.ts';
import { accountTag, type OwnUser } from './present.ts';
import * as queries from './queries.ts';
import * as schemas from './schemas.ts';

const etag = { ETag: 'Changes with everything that the response shows; for `If-Match` and `If-None-Match`' };

/** An account with its tag. */
function tagged(account: OwnUser, headers: Record<string, string> = {}): Reply {
  return new Reply(new Json(JSON.stringify(account)), {
    headers: { ...headers, ETag: `"${accountTag(account)}"` },
  });
}

const aboutProfile =
  'What everyone may see of a user. With an access token also what you are to them; whether they block you is told to nobody. A token that is not valid is a 401.';

const route = routesOf<UserContext>('Users');

export const userRoutes = [
  route({
    method: 'post',
    path: '/users',
    summary: 'Sign up',
    description:
      'Does not log in: send `POST /login` next. Where the service sends mail, a link that verifies the address is on its way, unless the address was sent six of them in the last hour. `sign_up` of `GET /` says who may sign up: anyone (`open`), those with an invitation of the operator (`invite`), or nobody (`closed`). Both refusals are a 403 with a `type` of their own.',
    access: 'anyone',
    limit: 'signup',
    body: schemas.signUp,
    answers: { 201: schemas.ownUser, ...problems(403, 409, 422, 429) },
    answerHeaders: { Location: 'Where the public profile is' },
    handle: async ({ ctx, body, requester }) => {
      const user = await commands.signUp(ctx, body, requester);
      return new Reply(user, { headers: { Location: `/users/${user.id}` } });
    },
  }),
  route({
    method: 'get',
    path: '/users/me',
    summary: 'Your own account',
    description: 'With the e-mail address, which nobody else is shown.',
    scope: 'read',
    headers: readPreconditions,
    answers: { 200: schemas.ownUser, 304: 'The account has not changed.', ...problems(401, 412) },
    answerHeaders: etag,
    handle: async ({ ctx, user, requester, req }) => {
      const account = await queries.ownView(ctx, user, requester);
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
      'A new e-mail address or password needs the current password. A new address is in `pending_email`, and counts once it is proved with the link that is sent to it (`POST /email/verify`); the old one is told, with a link to undo it. Whether another account has it shows at the proof alone. Your own address in place of a new one ends the change. Where the service sends no mail, a new address counts at once, and a taken one is a 409. A new password ends all other sessions, and a change of the address that waits. A new name sends an event for each of your posts, so ten changes an hour are allowed; with thousands of posts the last events may follow the response.',
    limit: 'login',
    body: schemas.editUser,
    headers: tagPreconditions,
    answers: { 200: schemas.ownUser, ...problems(401, 403, 409, 412, 422, 429) },
    answerHeaders: etag,
    handle: async ({ ctx, user, body, requester, req, res }) => {
      const { username } = body;
      const own = username === undefined ? undefined : (await queries.ownView(ctx, user, requester)).username;
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
      // Where mails are sent those are counted.
      if (body.email !== undefined && !ctx.mails.enabled)
        await ctx.countRequest('credential', req, res, user);
      const countMail: CountMail = (to) => ctx.countMail(to, req, res, user);
      return tagged(await commands.editUser(ctx, user, body, requester, countMail, preconditionsOf(req)));
    },
  }),
  route({
    method: 'delete',
    path: '/users/me',
    summary: 'Delete your account with your posts and votes',
    description:
      'All sessions end, and every client receives a deletion event for each published post and the changed tallies. The account, its name and its posts leave every list at once; with tens of thousands of posts or votes the last events and tallies may follow the response, which is then a 202.',
    limit: 'login',
    body: schemas.deleteUser,
    headers: tagPreconditions,
    answers: {
      204: 'The account is deleted, with its posts, drafts and votes.',
      202: 'The account is deleted. The rest of its posts and votes is being deleted.',
      ...problems(401, 403, 412, 422, 429),
    },
    handle: async ({ ctx, user, body, requester, req }) => {
      const isAllGone = await commands.deleteUser(ctx, user, body.password, requester, preconditionsOf(req));
      return new Reply(undefined, { status: isAllGone ? 204 : 202 });
    },
  }),
  route({
    method: 'post',
    path: '/email/verify/request',
    summary: 'Have the link that verifies your e-mail address sent again',
    description:
      'To the new address that waits, or else to the one that you have. You are sent three of them an hour at most, an address six, and the newest link is the one that works, for 24 hours. If there is nothing to verify it is a 409; where the service sends no mail, a 403 with `type` `no_mail`.',
    answers: { 202: 'A mail with a link is on its way.', ...problems(401, 403, 409, 429) },
    handle: ({ ctx, user, requester, req, res }) =>
      askForVerification(ctx, user, requester, (to) => ctx.countMail(to, req, res, user)),
  }),
  route({
    method: 'post',
    path: '/email/verify',
    summary: 'Prove an e-mail address with the link of a mail',
    description:
      'The token works once. A new address takes the place of the old one; if another account has it by now it is a 409.',
    access: 'anyone',
    limit: 'login',
    body: schemas.verifyEmail,
    answers: { 204: 'The address is verified.', ...problems(401, 409, 422, 429) },
    handle: ({ ctx, body, requester }) => verifyEmail(ctx, body.token, requester),
  }),
  route({
    method: 'post',
    path: '/email/undo',
    summary: 'Undo a change of the e-mail address with the link of a mail',
    description:
      'With the token that the old address was sent, once and for seven days; if that was never verified, until the new one is proved. A change that waits is ended. After it was proved the old address is put back, all sessions and the password end, and the old address is sent a link to a new password.',
    access: 'anyone',
    limit: 'login',
    body: schemas.undoEmail,
    answers: { 204: 'The account has the address that it had.', ...problems(401, 409, 422, 429) },
    handle: ({ ctx, body, requester }) => undoEmailChange(ctx, body.token, requester),
  }),
  ...(
    [
      ['/users/by-name/:username', 'A public profile, by name', schemas.nameParams],
      ['/users/:id', 'A public profile', schemas.userParams],
    ] as const
  ).map(([path, summary, params]) =>
    route({
      method: 'get',
      path,
      summary,
      description: aboutProfile,
      access: 'optional',
      scope: 'read',
      params,
      headers: sharedPreconditions,
      answers: { 200: schemas.publicUser, 304: 'The profile has not changed.', ...problems(401, 404, 422) },
      handle: async ({ ctx, user, params, requester }) => {
        const profile = await queries.publicProfile(ctx, params, user, requester);
        return user ? profile : sharedAnswer(JSON.stringify(profile));
      },
    }),
  ),
];
