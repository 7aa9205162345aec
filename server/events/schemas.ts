import Joi from 'joi';
import {
  count,
  listOf,
  object,
  oneOf,
  optional,
  timestamp,
  uuid,
  wholeNumber,
  withDefault,
} from '../api/schema.ts';
import { topics } from '../api/topics.ts';
import { problemFields } from '../api/problem.ts';
import type { DeclaredEvent } from '../topics/event-type.ts';

const epoch = uuid().description('The epoch that `after` belongs to, from an earlier answer');

export const readEvents = object({
  after: optional(count().description('The last seq that you have seen; without it, from now on').example(0)),
  epoch: optional(epoch),
  limit: withDefault(wholeNumber().min(1).max(500).description('How many at most').example(100), 100),
  wait: withDefault(
    Joi.number().min(0).max(30).description('Seconds to wait for an event if there is none yet').example(0),
    0,
  ),
  topics: optional(topics),
});

export const streamEvents = object({
  after: optional(
    count().description('The last seq that you have seen; `Last-Event-ID` takes precedence').example(0),
  ),
  epoch: optional(epoch),
  topics: optional(topics),
});

/** The problem of a position that cannot be served, with the place to start again. */
export const lostPosition = object({
  ...problemFields,
  reason: oneOf('epoch_changed', 'future', 'too_old').description('Why the position cannot be served'),
  epoch: uuid().description('The current epoch'),
  head: count().description('The highest seq in it'),
})
  .unknown()
  .id('LostPosition');

/** What is notified of an event: its name, and the schema of its payload. */
type ToldEvent = Pick<DeclaredEvent, 'name' | 'schema'>;

/** A page of the log, in which these events may be. */
export function eventPageOf(events: readonly ToldEvent[]): Joi.AnySchema {
  const event = object({
    seq: count(),
    prev: count().description('Between this number and `seq` there is nothing for you: the event before'),
    name: oneOf(...events.map(({ name }) => name)),
    at: timestamp().description('When the change was written'),
    data: Joi.alternatives(...new Set(events.map(({ schema }) => schema))),
  }).id('Event');
  return object({
    epoch: Joi.string().description(
      'The epoch: the identity of this numbering, which a restored database replaces',
    ),
    head: count().description(
      'The highest seq. Of a page without events: the position up to which there is nothing for you, to go on from',
    ),
    events: listOf(event),
  }).id('EventPage');
}
