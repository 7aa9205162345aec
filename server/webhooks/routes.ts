import { problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import { passwordAgain } from '../auth/schemas.ts';
import * as commands from './commands.ts';
import type { WebhookContext } from './context.ts';
import { failures, webhook, webhooks } from './queries.ts';
import * as schemas from './schemas.ts';

const route = routesOf<WebhookContext>('Webhooks');

/** No cache may keep an answer with a secret. */
const once = (answer: object, headers: Record<string, string> = {}) =>
  new Reply(answer, { headers: { 'Cache-Control': 'no-store', ...headers } });

export const webhookRoutes = [
  route({
    method: 'get',
    path: '/users/me/webhooks',
    summary: 'Your webhooks',
    description: 'The newest first, each with how far it has come. Secrets are not shown again.',
    answers: { 200: schemas.webhooks, ...problems(401, 403, 429) },
    handle: ({ ctx, user, requester }) => webhooks(ctx, user, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/webhooks',
    summary: 'Make a webhook',
    description: `Each event that a socket with these topics would hear is posted to the address, in order and at least once, signed by the [Standard Webhooks](https://www.standardwebhooks.com) specification. It outlives this session, so it needs your password, and you are sent a mail if your address is verified; a new password pauses it. A user has ${commands.MAX_WEBHOOKS} at most.`,
    limit: 'credential',
    body: schemas.createWebhook,
    answers: { 201: schemas.newWebhook, ...problems(401, 403, 409, 422, 429) },
    answerHeaders: { Location: 'Where the webhook is' },
    handle: async ({ ctx, user, body, requester }) => {
      const made = await commands.createWebhook(ctx, user, body, requester);
      return once(made, { Location: `/users/me/webhooks/${made.id}` });
    },
  }),
  route({
    method: 'get',
    path: '/users/me/webhooks/:id',
    summary: 'One of your webhooks',
    description: 'How far it has come, and since when it fails.',
    params: schemas.webhookParams,
    answers: { 200: schemas.webhook, ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, params, requester }) => webhook(ctx, user, requester, params.id),
  }),
  route({
    method: 'patch',
    path: '/users/me/webhooks/:id',
    summary: 'Change, pause or resume a webhook',
    description:
      'With `paused: false` a webhook goes on that was paused, from where it stands; if the log no longer reaches back so far, with a message of type `reset`. Any change has the next attempt made at once. Another `url` needs your `password`, and you are sent a mail if your address is verified.',
    params: schemas.webhookParams,
    body: schemas.changeWebhook,
    answers: { 200: schemas.webhook, ...problems(401, 403, 404, 422, 429) },
    handle: async ({ ctx, user, params, body, requester, req, res }) => {
      if (body.url !== undefined || body.paused === false)
        await ctx.countRequest('credential', req, res, user);
      return commands.changeWebhook(ctx, user, params.id, requester, body);
    },
  }),
  route({
    method: 'delete',
    path: '/users/me/webhooks/:id',
    summary: 'Delete a webhook',
    description: 'With its position. What is on its way may still arrive.',
    params: schemas.webhookParams,
    answers: { 204: 'Nothing is sent any more.', ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, params, requester }) => commands.deleteWebhook(ctx, user, params.id, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/webhooks/:id/secret',
    summary: 'Give a webhook another secret',
    description:
      'For 24 hours messages have two signatures, with the new secret and with the one before. It needs your password.',
    limit: 'credential',
    params: schemas.webhookParams,
    body: passwordAgain,
    answers: { 200: schemas.webhookSecret, ...problems(401, 403, 404, 422, 429) },
    handle: async ({ ctx, user, params, body, requester }) =>
      once(await commands.rotateSecret(ctx, user, params.id, requester, body.password)),
  }),
  route({
    method: 'post',
    path: '/users/me/webhooks/:id/ping',
    summary: 'Try a webhook',
    description:
      'Posts a message of type `ping` at once, beside the events, and answers with what came of it.',
    limit: 'login',
    params: schemas.webhookParams,
    answers: { 200: schemas.pingResult, ...problems(401, 403, 404, 409, 422, 429) },
    handle: ({ ctx, user, params, requester }) => commands.pingWebhook(ctx, user, params.id, requester),
  }),
  route({
    method: 'post',
    path: '/users/me/webhooks/:id/replay',
    summary: 'Continue after another position',
    description: 'Events after it are sent again, as they are by now: without what was deleted since.',
    params: schemas.webhookParams,
    body: schemas.replayWebhook,
    answers: { 200: schemas.webhook, ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, params, body, requester }) =>
      commands.replayWebhook(ctx, user, params.id, requester, body),
  }),
  route({
    method: 'get',
    path: '/users/me/webhooks/:id/failures',
    summary: 'What failed last',
    description: 'The last twenty attempts of a webhook that failed, the newest first.',
    params: schemas.webhookParams,
    answers: { 200: schemas.failures, ...problems(401, 403, 404, 422, 429) },
    handle: ({ ctx, user, params, requester }) => failures(ctx, user, requester, params.id),
  }),
];
