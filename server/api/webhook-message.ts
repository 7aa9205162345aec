import Joi from 'joi';
import { count, object, optional, timestamp, uuid } from './schema.ts';

/** What is posted, in the documents. */
export const webhookMessage = object({
  type: Joi.string().description('The name of the event; or `reset`, or `ping`'),
  timestamp: timestamp().description('When the change was written'),
  data: Joi.object().unknown().description('As in `GET /events`'),
  epoch: uuid(),
  seq: count(),
  prev: optional(count().description('Between this number and `seq` there is nothing for you')),
}).id('WebhookMessage');
