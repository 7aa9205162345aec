import Joi from 'joi';
import { count, id, listOf, object, oneOf, optional, withDefault } from '../http/schema.ts';

/** What a handshake's `auth` may hold. */
export const handshakeAuth = object({
  token: Joi.string().max(4096).description('An access token'),
  after: optional(count().strict().description('The last seq that you have seen; without it, from now')),
  epoch: optional(Joi.string().guid().description('The numbering that `after` belongs to')),
  tallies: withDefault(oneOf('all', 'tracked', 'none').description('Whose votes to hear of'), 'all'),
  feed: withDefault(oneOf('live', 'count', 'off').description('How to follow the feed'), 'live'),
}).id('HandshakeAuth');

/** Posts in one `track` or `untrack`. */
const MAX_POST_IDS = 500;

const postIds = listOf(id().strict()).max(MAX_POST_IDS).description('Posts, at most 500 at once');

export const track = object({ post_ids: postIds }).id('Track');
export const untrack = object({ post_ids: postIds }).id('Untrack');
export const feedMode = object({ mode: oneOf('live', 'count', 'off') }).id('FeedMode');
export const renew = object({
  token: Joi.string().max(4096).description('A fresh access token of the same user'),
}).id('Renew');
