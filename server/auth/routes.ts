import { linkHeader, linkHeaderOf } from '../api/list-page.ts';
import { problem, problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import * as commands from './commands.ts';
import type { AuthContext } from './context.ts';
import { beginLink, finishLink, identitiesOf, unlink } from './identities.ts';
import { apiKeys, createKey, MAX_KEYS, revokeKey } from './keys.ts';
import { endSession, sessionPage } from './login-sessions.ts';
import { finishLogin } from './oidc-login.ts';
import { beginAtProvider, placeToReturnTo } from './oidc-logins.ts';
import { askForReset, resetPassword } from './password-reset.ts';
import { refresh, type Tokens } from './refresh.ts';
import * as schemas from './schemas.ts';
import { beginSecondFactor, confirmSecondFactor, endSecondFactor, secondFactor } from './second-factor.ts';

/** RFC 6749, 5.1: no cache may keep an answer that holds tokens. */
const tokensOnce = (tokens: Tokens) => new Reply(tokens, { headers: { 'Cache-Control': 'no-store' } });

const route = routesOf<AuthContext>('Sessions');

export const authRoutes = [
  route({
    method: 'post',
    path: '/login',
    summary: 'Log in',
    description:
      'OAuth2 password flow: a form with `username` (the e-mail address) and `password`, or the same as JSON, where the address may also be called `email`. An account with a second factor needs `otp` too: without it, after the right password, the answer is a 403 with `type` `otp_required`, and for a wrong or used code `otp_invalid`. After too many wrong passwords for one account, or ten wrong codes in a day, further attempts get a 429, whatever address they come from; those from an address of a recent login to the account are counted apart. Recovery codes are still good then. A 503 says, too, that the code of an app cannot be checked at the moment.',
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
          { email: body.username ?? body.email ?? '', password: body.password, otp: body.otp },
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
      'Each refresh token works once. If the response was lost, send the same token again: for 30 seconds it returns the same new refresh token, unless that one has been used. Reuse after that ends the session. Requests are limited per session and user; only those with tokens that are not signed by the service are limited per address.',
    access: 'anyone',
    limit: 'own',
    body: schemas.refresh,
    answers: { 200: schemas.tokens, ...problems(401, 403, 422, 429) },
    handle: async ({ ctx, body, requester, req, res }) =>
      tokensOnce(await refresh(ctx, body.refresh_token, requester, (of) => ctx.countRefresh(of, req, res))),
  }),
  route({
    method: 'post',
    path: '/password/forgot',
    summary: 'Ask for a mail with a link to a new password',
    description:
      'The answer is the same, in text and in time, whether or not an account has this address; the mail follows. An account is sent three of them an hour at most, and the newest link is the one that works, for 30 minutes. Where the service sends no mail it is a 403 with `type` `no_mail`: the operator can make a link.',
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
    answers: { 204: 'The session has ended.', 401: problem },
    handle: ({ ctx, user, requester }) => commands.logOut(ctx, user, requester),
  }),
  route({
    method: 'post',
    path: '/logout/all',
    summary: 'End all sessions of this user',
    description: 'Ends the sessions on all devices, including this one.',
    answers: { 204: 'All sessions have ended.', 401: problem },
    handle: ({ ctx, user, requester }) => commands.logOutEverywhere(ctx, user, requester),
  }),
  route({
    method: 'get',
    path: '/users/me/totp',
    summary: 'Whether your logins ask for a code',
    description: 'And how many recovery codes are left.',
    answers: { 200: schemas.secondFactor, ...problems(401, 429) },
    handle: ({ ctx, user, requester }) => secondFactor(ctx, user, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/totp',
    summary: 'Set up an authenticator app',
    description:
      'A new secret for an app that makes codes (TOTP, RFC 6238: SHA-1, six digits, 30 seconds). Logins ask for a code only after `POST /users/me/totp/confirm`; until then this can be repeated.',
    limit: 'login',
    body: schemas.passwordAgain,
    answers: { 201: schemas.totpSetup, ...problems(401, 403, 409, 422, 429) },
    handle: ({ ctx, user, body, requester }) => beginSecondFactor(ctx, user, body.password, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/totp/confirm',
    summary: 'Have logins ask for a code',
    description:
      'Takes effect with one right code of the app. The answer has ten recovery codes, each good for one login without the app. Sessions that have begun go on.',
    limit: 'login',
    body: schemas.confirmTotp,
    answers: { 200: schemas.recoveryCodes, ...problems(401, 403, 404, 422, 429) },
    handle: async ({ ctx, user, body, requester }) => ({
      recovery_codes: await confirmSecondFactor(ctx, user, body.code, requester),
    }),
  }),
  route({
    method: 'delete',
    path: '/users/me/totp',
    summary: 'Have logins ask for no code',
    description: 'Needs the password. The secret and the recovery codes are deleted.',
    limit: 'login',
    body: schemas.passwordAgain,
    answers: { 204: 'Logins ask for no code.', ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, body, requester }) => endSecondFactor(ctx, user, body.password, requester),
  }),
  route({
    method: 'get',
    path: '/sessions',
    summary: 'Your sessions',
    description: 'One for each login that has not ended, the newest first.',
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
    params: schemas.sessionParams,
    answers: { 204: 'The session has ended.', ...problems(401, 404, 422, 429) },
    handle: ({ ctx, user, params, requester }) => endSession(ctx, user, params.id, requester),
  }),
  route({
    method: 'post',
    path: '/login/oidc',
    summary: 'Begin a login with the OpenID provider',
    description:
      'Where `GET /` names one in `oidc`; elsewhere it is a 404. Keep `secret` in the browser and send it to `authorization_url`. The provider sends it back to `GET /login/oidc/callback`, and that to the page that began, which finishes with `POST /login/oidc/finish` within ten minutes, on any node.',
    access: 'anyone',
    limit: 'login',
    body: schemas.beginOidc,
    answers: { 201: schemas.begunLogin, ...problems(404, 422, 429) },
    handle: ({ ctx, body, requester }) => beginAtProvider(ctx, null, body.return_to, requester),
  }),
  route({
    method: 'get',
    path: '/login/oidc/callback',
    summary: 'Where the OpenID provider sends a browser back to',
    description:
      'The redirect URI to register with the provider. It does nothing with the answer: it sends the browser on to the page that began, with the answer behind `#oidc=`, so that no further request line has it. Only the browser with the `secret` of the login can use it.',
    access: 'anyone',
    // The provider's answer, which is sent on as it is.
    anyQuery: true,
    answers: { 303: 'To the page that began.', ...problems(404, 429) },
    answerHeaders: { Location: 'The page, with the answer of the provider in the fragment' },
    handle: async ({ ctx, requester, req }) => {
      const at = req.url.indexOf('?');
      const place = await placeToReturnTo(ctx, at < 0 ? '' : req.url.slice(at + 1), requester);
      return new Reply(undefined, { headers: { Location: place } });
    },
  }),
  route({
    method: 'post',
    path: '/login/oidc/finish',
    summary: 'Finish a login with the OpenID provider',
    description:
      'Answers as `POST /login`. Something more may be needed: the answer is then a 403 whose `type` says what, and the same call with it follows. `otp_required`: a code, of an account with a second factor. `username_required`: there is no account yet; `suggestion` is what the provider calls you, or `null`. `link_required`: the password of the account with this address, since it is not verified on both sides that it is yours. If both sides have verified it, the account is linked at once; one whose address was never verified here loses its password and sessions. `oidc_refused`: begin again. A login works once and in the browser that began it; anything else is a 401.',
    access: 'anyone',
    limit: 'login',
    body: schemas.finishOidc,
    answers: { 200: schemas.tokens, ...problems(401, 403, 404, 409, 422, 429) },
    handle: async ({ ctx, body, requester, req }) => {
      const { response, secret, ...given } = body;
      const from = { address: req.ip, userAgent: req.headers['user-agent'] };
      return tokensOnce(await finishLogin(ctx, { response, secret }, given, from, requester));
    },
  }),
  route({
    method: 'get',
    path: '/users/me/identities',
    summary: 'The identities that you can log in with',
    description: 'Who you are at the OpenID provider: at most ten.',
    answers: { 200: schemas.identities, ...problems(401, 429) },
    handle: ({ ctx, user, requester }) => identitiesOf(ctx, user, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/identities/begin',
    summary: 'Begin to link an identity with your account',
    description:
      'As `POST /login/oidc`, for an account that exists. Finish with `POST /users/me/identities`.',
    limit: 'login',
    body: schemas.beginLink,
    answers: { 201: schemas.begunLogin, ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, body, requester }) => beginLink(ctx, user, body, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/identities',
    summary: 'Link the identity that the browser came back with',
    description:
      'From now on you can log in with it. You are sent a mail. An identity of another account is a 409.',
    limit: 'credential',
    body: schemas.finishLink,
    answers: { 201: schemas.identity, ...problems(401, 403, 404, 409, 422, 429) },
    handle: ({ ctx, user, body, requester }) => finishLink(ctx, user, body, requester),
  }),
  route({
    method: 'delete',
    path: '/users/me/identities/:id',
    summary: 'Unlink an identity',
    description: 'Sessions that have begun with it go on. The only way to log in to the account is a 409.',
    limit: 'login',
    params: schemas.identityParams,
    body: schemas.passwordAgain,
    answers: { 204: 'You can no longer log in with it.', ...problems(401, 403, 404, 409, 422, 429) },
    handle: ({ ctx, user, params, body, requester }) =>
      unlink(ctx, user, params.id, body.password, requester),
  }),
  route({
    method: 'get',
    path: '/users/me/keys',
    summary: 'Your API keys',
    description: 'Those that have not expired, the newest first. The keys themselves are not shown again.',
    tag: 'API keys',
    answers: { 200: schemas.apiKeys, ...problems(401, 403, 429) },
    handle: ({ ctx, user, requester }) => apiKeys(ctx, user, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/keys',
    summary: 'Make an API key',
    description: `For a program: sent as an access token is, also in the handshake of a socket. A user has ${MAX_KEYS} at most. A new password and \`POST /logout/all\` end your keys with your sessions.`,
    tag: 'API keys',
    limit: 'credential',
    body: schemas.createKey,
    answers: { 201: schemas.newApiKey, ...problems(401, 403, 409, 422, 429) },
    handle: async ({ ctx, user, body, requester }) =>
      new Reply(await createKey(ctx, user, body, requester), { headers: { 'Cache-Control': 'no-store' } }),
  }),
  route({
    method: 'delete',
    path: '/users/me/keys/:id',
    summary: 'Revoke one of your API keys',
    description: 'It stops working and its connections are closed, on every node.',
    tag: 'API keys',
    params: schemas.keyParams,
    answers: { 204: 'The key has been revoked.', ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, params, requester }) => revokeKey(ctx, user, params.id, requester),
  }),
];
