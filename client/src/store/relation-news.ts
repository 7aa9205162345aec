import type { FollowChange, HiddenUser, LiveEvent, RelatedUser } from '../contract.ts';
import { relationEvent } from '../event-names.ts';

/** A follow, a block or a mute that began or ended. */
export interface RelationChange {
  seq: number;
  relation: 'follow' | 'block' | 'mute';
  /** Whether it began; otherwise it ended. */
  added: boolean;
  /** Who follows; undefined of a block or a mute, of which only the user's own are told. */
  by: RelatedUser | undefined;
  /** Who is followed, blocked or muted. */
  of: RelatedUser;
  /** Whether an account has been deleted since, and its name is told no more. */
  redacted: boolean;
}

/** What has changed between the user and another one. */
export interface RelationNews extends Pick<RelationChange, 'seq' | 'relation' | 'added'> {
  userId: number;
}

const names: Record<string, Pick<RelationChange, 'relation' | 'added'>> = {
  [relationEvent.followed]: { relation: 'follow', added: true },
  [relationEvent.unfollowed]: { relation: 'follow', added: false },
  [relationEvent.blocked]: { relation: 'block', added: true },
  [relationEvent.unblocked]: { relation: 'block', added: false },
  [relationEvent.muted]: { relation: 'mute', added: true },
  [relationEvent.unmuted]: { relation: 'mute', added: false },
};

/** @returns undefined if an event tells of something else */
export function relationChange({ seq, name, data }: LiveEvent): RelationChange | undefined {
  const change = names[name];
  if (!change) return undefined;
  const { redacted = false } = data as FollowChange | HiddenUser;
  if (change.relation !== 'follow') {
    return { seq, ...change, by: undefined, of: (data as HiddenUser).user, redacted };
  }
  const { follower, followee } = data as FollowChange;
  return { seq, ...change, by: follower, of: followee, redacted };
}

/** @returns undefined if an event tells of nothing that the user does: somebody else has followed them, say */
export function relationNews(event: LiveEvent, me: number | undefined): RelationNews | undefined {
  const change = relationChange(event);
  if (!change || (change.by && change.by.id !== me)) return undefined;
  const { seq, relation, added, of } = change;
  return { seq, relation, added, userId: of.id };
}
