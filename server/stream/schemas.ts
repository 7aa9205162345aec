import Joi from 'joi';
import {
  count,
  id,
  listOf,
  object,
  oneOf,
  optional,
  timestamp,
  uuid,
  wholeNumber,
  withDefault,
} from '../http/schema.ts';
import { postView } from '../posts/schemas.ts';
import { feedEventNames } from '../events.ts';

const epoch = uuid().description('The numbering that `after` belongs to, from an earlier answer');

export const readEvents = object({
  after: optional(count().description('The last seq that you have seen; without it, from now on')),
  epoch: optional(epoch),
  limit: withDefault(wholeNumber().min(1).max(500).description('How many at most'), 100),
  wait: withDefault(
    Joi.number().min(0).max(30).description('Seconds to wait for an event if there is none yet'),
    0,
  ),
});

export const streamEvents = object({
  after: optional(count().description('The last seq that you have seen; `Last-Event-ID` goes before it')),
  epoch: optional(epoch),
});

const event = object({
  seq: count(),
  name: oneOf(...feedEventNames),
  at: timestamp().description('When the change was written'),
  data: Joi.alternatives(postView, object({ id: id() })),
}).id('Event');

export const eventPage = object({
  epoch: Joi.string().description('The identity of this numbering'),
  head: count().description('The highest seq'),
  events: listOf(event),
}).id('EventPage');
