import Joi from 'joi';
import type { FollowChange, HiddenUser } from './event-payloads.ts';
import {
  count,
  exactly,
  id,
  type Infer,
  listOf,
  object,
  oneOf,
  optional,
  pageCursor,
  pageSize,
  timestamp,
} from '../api/schema.ts';

export const relationParams = object({ id: id().description("The other user's id").example(2) });

export const relation = object({
  user_id: id().description('The other user'),
  followed: Joi.boolean().description('Whether you follow them'),
  blocked: Joi.boolean().description('Whether you block them'),
  muted: Joi.boolean().description('Whether you mute them'),
  seq: count().description(
    'The number of the event since which the stream goes by it: later events are filtered accordingly',
  ),
}).id('Relation');

const relatedUser = object({ id: id(), username: Joi.string() }).id('RelatedUser');

export const relations = listOf(
  object({
    user: relatedUser,
    created_at: timestamp().description('Since when'),
  }).id('RelationEntry'),
);

/** The lists of relations, by whose and which. */
export type RelationList = 'followers' | 'following' | 'blocks' | 'mutes';

/** What is asked of one of the lists. */
export function listQuery(list: RelationList) {
  return object({
    limit: pageSize(10),
    cursor: pageCursor(list, 1_795_867_200_000_000, 7),
  });
}
export type ListRelations = Infer<ReturnType<typeof listQuery>>;

/** A user as events name one. */
const namedUser = object({ id: id(), username: Joi.string().allow('') });
const redacted = optional(oneOf(true)).description(
  'An account in it was deleted before this was sent: the names are empty',
);

export const followChange = exactly<FollowChange>()(
  object({
    follower: namedUser,
    followee: namedUser,
    refresh: optional(oneOf(true)).description(
      'To the follower of a new follow: posts from before are not in the stream, so read `GET /posts?view=home` again',
    ),
    redacted,
  }).id('FollowEvent'),
);

export const hiddenUser = exactly<HiddenUser>()(object({ user: namedUser, redacted }).id('HiddenUserEvent'));
