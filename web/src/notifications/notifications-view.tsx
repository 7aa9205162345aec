import { useEffect, useRef, useState } from 'preact/hooks';
import { createNotificationStore, type NotificationStore, type NotificationView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { useStore } from '../chrome/use-store.ts';
import { Face } from '../feed/face.tsx';
import { watchScreen } from '../feed/on-screen.ts';
import { RelativeTime } from '../feed/relative-time.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { Said } from '../languages/said.tsx';
import { isKey, say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { service } from '../service.ts';
import { beginningOf } from '../write/post-name.ts';
import { placeOf } from './place-of.ts';

const PAGE = 30;

const whileOnScreen = watchScreen('120px 0px');

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
        {say('place.notifications')}
      </h1>
      {notifications.length === 0 && loading && <Skeleton />}
      {notifications.length === 0 && !loading && !error && <p class="nothing">{say('notifications.none')}</p>}
      <ul class="notifications" aria-label={say('place.notifications')}>
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
        {fresh && <span class="unseen">{say('notifications.new')} </span>}
        <Sentence of={one} />
        {place?.name === 'post' && <About key={one.rev} id={place.id} />}
        {reason && (
          <span class="reason">
            <Said of="notifications.reason" reason={<bdi>{reason}</bdi>} />
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

/** How the post begins that a notification is about, as it is when the notification comes on the screen. */
function About({ id }: { id: number }) {
  const element = useRef<HTMLSpanElement>(null);
  const [beginning, setBeginning] = useState('');
  useEffect(() => {
    if (!element.current) return undefined;
    const end = whileOnScreen(element.current, () => {
      end();
      service.posts.get(id).then(
        ({ title, content }) => setBeginning(beginningOf(title ?? content)),
        // It may have gone, as the notification then does.
        () => undefined,
      );
      return () => undefined;
    });
    return end;
  }, [id]);
  return (
    <span ref={element} class="about" dir="auto">
      {beginning}
    </span>
  );
}

function Sentence({ of: { kind, people, act, actor } }: { of: NotificationView }) {
  switch (kind) {
    case 'reply':
    case 'mention':
    case 'follow':
      return <Said of={`notifications.${kind}`} name={<bdi>{actor?.username}</bdi>} />;
    case 'votes':
      return <>{say('notifications.votes', { count: people ?? 1 })}</>;
    case 'moderation': {
      // A kind of act that is newer than this page has no sentence.
      const key = `notifications.${act ?? 'moderation'}` as const;
      return <>{say(isKey(key) ? key : 'notifications.moderation')}</>;
    }
  }
}
