import type { NotificationView } from 'tidings-client';
import type { Place } from '../places/place.ts';

/** Where the reader sees what a notification is about; undefined if there is nothing to be seen. */
export function placeOf({ kind, act, actor, post_id }: NotificationView): Place | undefined {
  if (kind === 'moderation' && (post_id === null || act === 'remove' || act === 'report_acted'))
    return undefined;
  if (post_id !== null) return { name: 'post', id: post_id };
  return { name: 'author', username: actor?.username ?? '', ...(actor && { id: actor.id }) };
}
