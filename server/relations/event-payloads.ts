import type { relationEvent } from './event-names.ts';

/** One of the two users of a relation. The name is empty once the account has been deleted. */
export interface RelatedUser {
  id: number;
  username: string;
}

/** A follow, as both of its users are told of it. */
export interface FollowChange {
  follower: RelatedUser;
  followee: RelatedUser;
  /** Only to the follower of a new follow: posts from before are not in the stream, so read the home page again. */
  refresh?: true;
  /** Only `true`: one of the accounts was deleted later, and the names were taken out of here. */
  redacted?: true;
}

/** A block or a mute, as the user is told of it who set or ended it. Nobody else is. */
export interface HiddenUser {
  user: RelatedUser;
  /** Only `true`: the account was deleted later, and its name was taken out of here. */
  redacted?: true;
}

type Names = typeof relationEvent;

/** The events of relations, with their payloads. */
export type RelationEvents = Record<Names['followed'] | Names['unfollowed'], FollowChange> &
  Record<Names['blocked'] | Names['unblocked'] | Names['muted'] | Names['unmuted'], HiddenUser>;
