import { createNotificationStore } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { useStore } from '../chrome/use-store.ts';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { service } from '../service.ts';

/** More are not counted in the badge. */
const MOST = 99;

/** The way to one's notifications, with how many are unread. */
export function Bell() {
  const { feed } = useVisit();
  const { state } = useStore(() => createNotificationStore(service, { limit: 1, feed }), [feed]);
  const { unread } = state;
  return (
    <PlaceLink to={{ name: 'notifications' }} class="bell" title={say('place.notifications')}>
      <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path d="M12 3.5a5.5 5.5 0 0 0-5.5 5.5c0 5-2 6.5-2 7.5h15c0-1-2-2.5-2-7.5A5.5 5.5 0 0 0 12 3.5ZM10 19.5a2 2 0 0 0 4 0" />
      </svg>
      <span class="bell-word">{say('place.notifications')}</span>
      {unread > 0 && (
        <span class="badge">
          {unread > MOST ? `${MOST}+` : unread}
          <span class="unseen"> {say('notifications.unread')}</span>
        </span>
      )}
    </PlaceLink>
  );
}
