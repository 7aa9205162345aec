import { linkHeader, linkHeaderOf } from '../api/list-page.ts';
import { problem, problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import * as commands from './commands.ts';
import type { AuthContext } from './context.ts';
import { endSession, sessionPage } from './login-sessions.ts';
import { askForReset, resetPassword } from './password-reset.ts';
import { refresh, type Tokens } from './refresh.ts';
import * as schemas from './schemas.ts';

/** RFC 6749, 5.1: no cache may keep an answer that holds tokens. */
const tokensOnce = (tokens: Tokens) => new Reply(tokens, { headers: { 'Cache-Control': 'no-store' } });

const route = routesOf<AuthContext>();

export const authRoutes = [
  route({
    method: 'post',
    path: '/login',
    summary: 'Log in',
    description:
      'OAuth2 password flow: a form with `username` (the e-mail address) and `password`, or the same as JSON, where the address may also be called `email`. After too many wrong passwords for one account, further attempts get a 429, whatever address they come from.',
    tag: 'Sessions',
    access: 'anyone',
    limit: 'login',
    body: schemas.login,
    form: schemas.loginForm,
    consumes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: schemas.tokens, ...problems(403, 422, 429) },
    handle: async ({ ctx, body, requester, req }) =>
      tokensOnce(
        await commands.logIn(
          ctx,
          body.username ?? body.email ?? '',
          body.password,
          { address: req.ip, userAgent: req.headers['user-agent'] },
          requester,
        ),
      ),
  }),
  route({
    method: 'post',
    path: '/refresh',
    summary: 'Exchange a refresh token for a new pair of tokens',
    description:
      'Each refresh token works once. If the response was lost, send the same token again: for 30 seconds it returns the same new refresh token, unless that one has been used. Reuse after that ends the session. Requests are limited per session, not per address.',
    tag: 'Sessions',
    access: 'anyone',
    body: schemas.refresh,
    answers: { 200: schemas.tokens, ...problems(401, 403, 422, 429) },
    handle: async ({ ctx, body, requester, req, res }) =>
      tokensOnce(
        await refresh(ctx, body.refresh_token, requester, (session) =>
          ctx.countRequest('refresh', req, res, undefined, session && `s${session}`),
        ),
      ),
  }),
  route({
    method: 'post',
    path: '/password/forgot',
    summary: 'Ask for a mail with a link to a new password',
    description:
      'The answer is the same, in text and in time, whether or not an account has this address; the mail follows. An account is sent three of them an hour at most, and the newest link is the one that works, for 30 minutes. Where the service sends no mail it is a 403 with `type` `no_mail`: the operator can make a link.',
    tag: 'Sessions',
    access: 'anyone',
    limit: 'forgot',
    body: schemas.forgotPassword,
    answers: {
      202: 'If an account has this address, a mail with a link is on its way.',
      ...problems(403, 422, 429),
    },
    handle: ({ ctx, body, requester }) => askForReset(ctx, body.email, requester),
  }),
  route({
    method: 'post',
    path: '/password/reset',
    summary: 'Choose a new password with the link of a mail',
    description:
      'The token works once, and is not used by a password that is refused (422). All sessions of the user end, and their connections on every node. Log in with the new password next.',
    tag: 'Sessions',
    access: 'anyone',
    limit: 'login',
    body: schemas.resetPassword,
    answers: {
      204: 'The password has been changed, and all sessions have ended.',
      ...problems(401, 422, 429),
    },
    handle: ({ ctx, body, requester, req }) => resetPassword(ctx, body, req.ip, requester),
  }),
  route({
    method: 'post',
    path: '/logout',
    summary: 'End this session',
    description: 'Its tokens stop working and its sockets are closed, on every node.',
    tag: 'Sessions',
    access: 'user',
    limit: 'write',
    answers: { 204: 'The session has ended.', 401: problem },
    handle: ({ ctx, user, requester }) => commands.logOut(ctx, user, requester),
  }),
  route({
    method: 'post',
    path: '/logout/all',
    summary: 'End all sessions of this user',
    description: 'Ends the sessions on all devices, including this one.',
    tag: 'Sessions',
    access: 'user',
    limit: 'write',
    answers: { 204: 'All sessions have ended.', 401: problem },
    handle: ({ ctx, user, requester }) => commands.logOutEverywhere(ctx, user, requester),
  }),
  route({
    method: 'get',
    path: '/sessions',
    summary: 'Your sessions',
    description: 'One for each login that has not ended, the newest first.',
    tag: 'Sessions',
    access: 'user',
    limit: 'read',
    query: schemas.listSessions,
    answers: { 200: schemas.sessions, ...problems(401, 422, 429) },
    answerHeaders: linkHeaderOf('sessions'),
    handle: async ({ ctx, user, query, requester, req }) => {
      const { sessions, next } = await sessionPage(ctx, user, query, requester);
      return new Reply(sessions, { headers: linkHeader('/sessions', req.url, next) });
    },
  }),
  route({
    method: 'delete',
    path: '/sessions/:id',
    summary: 'End one of your sessions',
    description:
      'As on a device that was lost: its tokens stop working and its connections are closed, on every node; your other sessions continue.',
    tag: 'Sessions',
    access: 'user',
    limit: 'write',
    params: schemas.sessionParams,
    answers: { 204: 'The session has ended.', ...problems(401, 404, 422, 429) },
    handle: ({ ctx, user, params, requester }) => endSession(ctx, user, params.id, requester),
  }),
];
