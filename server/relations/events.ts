import { randomInt } from 'node:crypto';
import type { EventType, RelationChange } from '../topics/event-type.ts';
import { relationEvent } from './event-names.ts';
import type { FollowChange, HiddenUser, RelatedUser } from './event-payloads.ts';
import { followChange, hiddenUser } from './schemas.ts';

/** A follow that began or ended, as one of its two users is told of it. */
export interface FollowNews {
  follower: RelatedUser;
  followee: RelatedUser;
  /** Whom this event is for. */
  to: 'follower' | 'followee';
  /** Whether this event, of the two, is the one from which the stream goes by it. */
  takesEffect: boolean;
}

/** A block or a mute that began or ended. */
export interface HideNews {
  userId: number;
  target: RelatedUser;
}

/** No such event supersedes another one, so each is a thing of its own. */
const ofItsOwn = () => randomInt(1, 2 ** 48 - 1);

const readerOf = ({ follower, followee, to }: FollowNews) => (to === 'follower' ? follower : followee);

/** Where the name of somebody stands, it goes with the account. */
const ofAccount = (id: number) => ({ type: 'account', id });

function followEvent<Name extends string>(
  name: Name,
  added: boolean,
  told: { summary: string; description: string },
): EventType<Name, FollowNews, FollowChange> {
  return {
    ...told,
    name,
    schema: followChange,
    entityType: 'follow',
    entityId: ofItsOwn,
    audience: (news) => `user:${readerOf(news).id}`,
    topics: (news) => [`user:${readerOf(news).id}`],
    container: ({ follower, followee, to }) => ofAccount(to === 'follower' ? followee.id : follower.id),
    relation: ({ follower, followee, takesEffect }) =>
      takesEffect ? { kind: 'follow', user_id: follower.id, target_id: followee.id, added } : undefined,
    payload: ({ follower, followee, to }) => ({
      follower,
      followee,
      ...(added && to === 'follower' && { refresh: true }),
    }),
    supersedes: 'nothing',
    redaction: ['follower.username', 'followee.username'],
  };
}

function hideEvent<Name extends string>(
  name: Name,
  kind: RelationChange['kind'],
  added: boolean,
  told: { summary: string; description: string },
): EventType<Name, HideNews, HiddenUser> {
  return {
    ...told,
    name,
    schema: hiddenUser,
    entityType: kind,
    entityId: ofItsOwn,
    audience: ({ userId }) => `user:${userId}`,
    topics: ({ userId }) => [`user:${userId}`],
    container: ({ target }) => ofAccount(target.id),
    relation: ({ userId, target }) => ({ kind, user_id: userId, target_id: target.id, added }),
    payload: ({ target }) => ({ user: target }),
    supersedes: 'nothing',
    redaction: ['user.username'],
  };
}

export const followAdded = followEvent(relationEvent.followed, true, {
  summary: 'Somebody follows somebody',
  description:
    'To both of them, and to nobody else. Posts of the followee with a higher `seq` reach the follower.',
});

export const followRemoved = followEvent(relationEvent.unfollowed, false, {
  summary: 'A follow ended',
  description: 'To both of them. By the follower, by a block, or with the account of one of them.',
});

export const blockAdded = hideEvent(relationEvent.blocked, 'block', true, {
  summary: 'You block somebody',
  description:
    'To all of your own clients. From here on nothing of them reaches you, and nothing of you reaches them.',
});

export const blockRemoved = hideEvent(relationEvent.unblocked, 'block', false, {
  summary: 'You no longer block somebody',
  description: 'To all of your own clients.',
});

export const muteAdded = hideEvent(relationEvent.muted, 'mute', true, {
  summary: 'You mute somebody',
  description:
    'To all of your own clients. From here on nothing of them reaches you, but where you subscribe to them.',
});

export const muteRemoved = hideEvent(relationEvent.unmuted, 'mute', false, {
  summary: 'You no longer mute somebody',
  description: 'To all of your own clients.',
});

/** As they are told when an account is deleted: the last one of some takes its name out of all that was told before. */
export function erasing<Subject, Payload extends object>(
  type: EventType<string, Subject, Payload>,
): EventType<string, Subject, Payload> {
  return { ...type, erasesContainer: () => true };
}

export const relationEvents = [
  followAdded,
  followRemoved,
  blockAdded,
  blockRemoved,
  muteAdded,
  muteRemoved,
] as const;
