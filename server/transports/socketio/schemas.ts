import Joi from 'joi';
import { count, id, listOf, object, oneOf, optional, uuid, withDefault } from '../../api/schema.ts';
import { addedTopics, topics } from '../../api/topics.ts';
import { MAX_ITEMS } from './payload-limits.ts';

/** Characters of an access token. */
export const MAX_TOKEN = 4096;

/** What a handshake's `auth` may hold. An optional field that holds `null` or an empty text is treated as absent. */
export const handshakeAuth = object({
  token: Joi.string().max(MAX_TOKEN).description('An access token, or an API key'),
  after: optional(
    count().strict().description('The last seq that you have seen; without it (or with `null`), from now'),
  ),
  epoch: optional(uuid().description('The epoch that `after` belongs to')),
  tallies: withDefault(
    oneOf('all', 'tracked', 'none').description(
      'Of which posts to receive tallies: of `all`, of those that are `tracked`, or `none`',
    ),
    'all',
  ),
  feed: withDefault(
    oneOf('live', 'count', 'off').description(
      'How to receive the feed: each event (`live`), only their number (`count`), or nothing (`off`)',
    ),
    'live',
  ),
  topics: optional(topics),
}).id('HandshakeAuth');

const postIds = listOf(id().strict()).max(MAX_ITEMS).description('Posts, at most 500 at once');

export const track = object({ post_ids: postIds }).id('Track');
export const untrack = object({ post_ids: postIds }).id('Untrack');
export const subscribe = object({
  topics: addedTopics,
  from: optional(
    count()
      .strict()
      .description(
        'The position of what you hold of these topics, such as `X-Feed-Seq` of the list; without it, what comes from now on',
      ),
  ),
  epoch: optional(uuid().description('The epoch that `from` belongs to')),
}).id('Subscribe');
export const unsubscribe = object({ topics: addedTopics }).id('Unsubscribe');
export const feedMode = object({ mode: oneOf('live', 'count', 'off') }).id('FeedMode');
export const renew = object({
  token: Joi.string()
    .max(MAX_TOKEN)
    .description('A new access token of the same user, or an API key of theirs'),
}).id('Renew');
