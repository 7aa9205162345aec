import { useEffect, useRef } from 'preact/hooks';
import {
  createNotificationStore,
  type NotificationStore,
  type NotificationView,
  type NotifiedAct,
} from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { useStore } from '../chrome/use-store.ts';
import { Face } from '../feed/face.tsx';
import { RelativeTime } from '../feed/relative-time.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import type { Place } from '../places/place.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { service } from '../service.ts';

const PAGE = 30;

/** What others did that concerns the reader. What was unread when it came stays marked while the reader is here. */
export function NotificationsView() {
  const { feed } = useVisit();
  const { store, state } = useStore(() => createNotificationStore(service, { limit: PAGE, feed }), [feed]);
  const { notifications, loading, error } = state;
  const fresh = useRef(new Set<string>()).current;
  for (const one of notifications) if (!one.read) fresh.add(keyOf(one));
  useReading(store, notifications);
  return (
    <section aria-labelledby="notifications-title">
      <h1 id="notifications-title" class="place-title" tabIndex={-1}>
        Notifications
      </h1>
      {notifications.length === 0 && loading && <Skeleton />}
      {notifications.length === 0 && !loading && !error && (
        <p class="nothing">
          Nothing yet. Replies, mentions, followers, votes and what moderators do are told here.
        </p>
      )}
      <ul class="notifications" aria-label="Notifications">
        {notifications.map((one) => (
          <Entry key={one.id} of={one} fresh={fresh.has(keyOf(one))} />
        ))}
      </ul>
      <EndOfPages store={store} state={state} />
    </section>
  );
}

/** One that is renewed is another one to the reader. */
const keyOf = ({ id, rev }: NotificationView) => `${id}:${rev}`;

/** Marks as read what the list shows, while the reader looks at it. */
function useReading(store: NotificationStore, notifications: readonly NotificationView[]): void {
  useEffect(() => {
    const read = () => {
      // It is tried again with the next change; until then they stay unread.
      if (document.visibilityState === 'visible') store.read().catch(() => undefined);
    };
    read();
    document.addEventListener('visibilitychange', read);
    return () => document.removeEventListener('visibilitychange', read);
  }, [store, notifications]);
}

function Entry({ of: one, fresh }: { of: NotificationView; fresh: boolean }) {
  const { actor, kind, reason, at } = one;
  const place = placeOf(one);
  const content = (
    <>
      {actor ? (
        <Face id={actor.id} name={actor.username} />
      ) : (
        <span class={`face ${kind}`} aria-hidden="true">
          {kind === 'moderation' ? '!' : '▲'}
        </span>
      )}
      <span class="what">
        {fresh && <span class="unseen">New: </span>}
        {actor && <bdi>{actor.username}</bdi>} {sentenceOf(one)}
        {reason && (
          <span class="reason">
            Reason: <bdi>{reason}</bdi>
          </span>
        )}
      </span>
      <span class="when">
        <RelativeTime at={at} />
      </span>
    </>
  );
  return (
    <li class={fresh ? 'fresh' : undefined}>
      {place ? (
        <PlaceLink to={place} current={false}>
          {content}
        </PlaceLink>
      ) : (
        <div>{content}</div>
      )}
    </li>
  );
}

/** What a moderator did, in a sentence. */
const ofModeration: Record<NotifiedAct, string> = {
  warn: 'A moderator warns you',
  remove: 'A moderator removed a post of yours',
  restore: 'A moderator brought a post of yours back',
  lock: 'A moderator ended the replies to your post',
  unlock: 'A moderator allowed replies to your post again',
  suspend: 'A moderator suspended your account',
  unsuspend: 'A moderator ended the suspension of your account',
  report_acted: 'Moderators looked at what you reported, and acted on it',
  report_dismissed: 'Moderators looked at what you reported: nothing had to be done',
};

function sentenceOf({ kind, people, act }: NotificationView): string {
  switch (kind) {
    case 'reply':
      return 'replied to you';
    case 'mention':
      return 'mentioned you';
    case 'follow':
      return 'follows you';
    case 'votes':
      return `${people === 1 ? 'One person' : `${people} people`} voted for your post`;
    case 'moderation':
      // A kind of act that is newer than this page has no sentence.
      return (act && ofModeration[act]) ?? 'A moderator did something about your account';
  }
}

/** Where the reader sees what it is about; undefined if there is nothing to be seen. */
function placeOf({ kind, act, actor, post_id }: NotificationView): Place | undefined {
  if (kind === 'moderation' && (post_id === null || act === 'remove' || act === 'report_acted'))
    return undefined;
  if (post_id !== null) return { name: 'post', id: post_id };
  return { name: 'author', username: actor?.username ?? '', ...(actor && { id: actor.id }) };
}
