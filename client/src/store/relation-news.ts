import type { FollowChange, HiddenUser, LiveEvent } from '../contract.ts';
import { relationEvent } from '../event-names.ts';

/** What has changed between the user and another one. */
export interface RelationNews {
  seq: number;
  userId: number;
  relation: 'follow' | 'block' | 'mute';
  /** Whether it began; otherwise it ended. */
  added: boolean;
}

const names: Record<string, Pick<RelationNews, 'relation' | 'added'>> = {
  [relationEvent.followed]: { relation: 'follow', added: true },
  [relationEvent.unfollowed]: { relation: 'follow', added: false },
  [relationEvent.blocked]: { relation: 'block', added: true },
  [relationEvent.unblocked]: { relation: 'block', added: false },
  [relationEvent.muted]: { relation: 'mute', added: true },
  [relationEvent.unmuted]: { relation: 'mute', added: false },
};

/** @returns undefined if an event tells of nothing that the user does: somebody else has followed them, say */
export function relationNews(
  { seq, name, data }: LiveEvent,
  me: number | undefined,
): RelationNews | undefined {
  const change = names[name];
  if (!change) return undefined;
  if (change.relation !== 'follow') {
    return { seq, ...change, userId: (data as HiddenUser).user.id };
  }
  const { follower, followee } = data as FollowChange;
  return follower.id === me ? { seq, ...change, userId: followee.id } : undefined;
}
