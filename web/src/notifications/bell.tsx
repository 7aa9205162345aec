import { createNotificationStore } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { useStore } from '../chrome/use-store.ts';
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
    <PlaceLink to={{ name: 'notifications' }} class="bell" title="Notifications">
      <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path d="M12 3.500a5.500 5.500 0 0 0-5.500 5.500c0 5-2 6.500-2 7.500h15c0-1-2-2.500-2-7.500A5.500 5.500 0 0 0 12 3.500ZM10 19.500a2 2 0 0 0 4 0" />
      </svg>
      <span class="bell-word">Notifications</span>
      {unread > 0 && (
        <span class="badge">
          {unread > MOST ? `${MOST}+` : unread}
          <span class="unseen"> unread</span>
        </span>
      )}
    </PlaceLink>
  );
}
