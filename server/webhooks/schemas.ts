import Joi from 'joi';
import {
  count,
  exactly,
  type Infer,
  listOf,
  object,
  oneOf,
  optional,
  text,
  timestamp,
  uuid,
  wholeNumber,
} from '../api/schema.ts';
import { topics } from '../api/topics.ts';
import { ownPassword } from '../auth/schemas.ts';
import { type FailureView, failureReasons, pauses } from './present.ts';

const url = text()
  .max(2000)
  .custom((value: string, helpers) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    const isWeb = parsed?.protocol === 'https:' || parsed?.protocol === 'http:';
    return parsed && isWeb && parsed.username === '' && parsed.password === '' && parsed.hash === ''
      ? value
      : helpers.error('string.pattern.name', {
          name: 'an https address without a user, a password and a fragment',
        });
  }, 'an https address')
  .description('Where messages are posted: an https address of the public internet')
  .example('https://hooks.example/tidings');

const after = count()
  .strict()
  .description('The last seq that you have: what follows is sent. Such as `X-Feed-Seq` of a list');
const epoch = uuid().description('The epoch that `after` belongs to');

export const createWebhook = object({
  url,
  topics: optional(topics),
  after: optional(after),
  epoch: optional(epoch),
  password: ownPassword,
})
  .with('epoch', 'after')
  .example({ url: 'https://hooks.example/tidings', topics: ['home'], password: 'your password' })
  .id('CreateWebhook');
export type CreateWebhook = Infer<typeof createWebhook>;

export const changeWebhook = object({
  url: optional(url),
  topics: optional(topics.allow(null)),
  paused: optional(
    Joi.boolean()
      .strict()
      .description('`true`: nothing is sent. `false`: what came meanwhile is sent as well'),
  ),
  password: ownPassword.description('Your password, for another `url`; as when a webhook is made'),
})
  .min(1)
  .example({ paused: false })
  .id('ChangeWebhook');
export type ChangeWebhook = Infer<typeof changeWebhook>;

export const replayWebhook = object({ after, epoch: optional(epoch) })
  .example({ after: 0 })
  .id('ReplayWebhook');
export type ReplayWebhook = Infer<typeof replayWebhook>;

const webhookId = uuid().description('The webhook').example('8b0f4c4e-3f57-4d0c-9a52-6f1c4a0f2d11');
export const webhookParams = object({ id: webhookId });

const fields = {
  id: webhookId,
  url: Joi.string(),
  topics: listOf(Joi.string())
    .allow(null)
    .description('`null`: everything public. What concerns you alone always comes'),
  created_at: timestamp(),
  paused: oneOf(...pauses)
    .allow(null)
    .description(
      'Why nothing is sent: you want so (`owner`), each attempt of a day has failed (`failing`), the receiver answered with a 410 (`gone`), or the operator has changed the secrets of the service so that yours cannot be read: give it another (`secret`); or your password has been changed, and somebody else may have made it (`password`). `null`: it is active',
    ),
  epoch: uuid().description('The epoch of `seq`'),
  seq: count().description('How far it has come: what follows is still to be sent'),
  delivered_at: timestamp().allow(null).description('When a message was delivered last'),
  failing_since: timestamp().allow(null).description('Since when each attempt has failed'),
  next_attempt_at: timestamp()
    .allow(null)
    .description('When the next attempt follows, after one that failed'),
};

export const webhook = object(fields).id('Webhook');
export const webhooks = listOf(webhook);

const secret = Joi.string()
  .description('What messages are signed with (`whsec_…`). It is shown only here')
  .example('whsec_…');
export const newWebhook = object({ ...fields, secret }).id('NewWebhook');
export const webhookSecret = object({ secret }).id('WebhookSecret');

const reason = oneOf(...failureReasons).description(
  'The `status` is none of 200 to 299; a `redirect`, which is not followed; no answer in ten seconds (`timeout`); the `connection` broke; the `certificate` is not good; the `name` has no address; the address is not of the public internet (`private_address`), or no longer may be without TLS (`not_https`)',
);
const status = wholeNumber()
  .min(100)
  .max(999)
  .allow(null)
  .description('The status of the answer, if there was one') as Joi.AnySchema<number | null>;

export const failures = listOf(
  exactly<FailureView>()(
    object({
      at: timestamp(),
      message_id: Joi.string().description('The `webhook-id` of the message'),
      reason,
      status,
    }),
  ).id('WebhookFailure'),
);

export const pingResult = object({
  delivered: Joi.boolean().description('Whether the receiver answered with a status of 200 to 299'),
  status,
  reason: optional(reason),
}).id('WebhookPing');
