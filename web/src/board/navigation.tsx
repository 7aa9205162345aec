import type { OwnUser } from 'tidings-client';
import { say } from '../languages/say.ts';
import { Bell } from '../notifications/bell.tsx';
import { place } from '../places/history.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { Search } from './search.tsx';
import { useVisit } from './visit.ts';

/** Navigation: the places that everybody has, and the search. */
export function Navigation({ me }: { me: OwnUser }) {
  const { drafts } = useVisit();
  const count = drafts.list.value?.length ?? 0;
  const { name } = place.value;
  return (
    <nav class="places" aria-label={say('place.nav')}>
      <ul>
        <li>
          <PlaceLink to={{ name: 'home', sort: 'new' }} current={name === 'home'}>
            {say('place.home')}
          </PlaceLink>
        </li>
        <li>
          <PlaceLink to={{ name: 'everyone', sort: 'new' }} current={name === 'everyone'}>
            {say('place.everyone')}
          </PlaceLink>
        </li>
        <li>
          <Bell />
        </li>
        <li class="apart">
          <PlaceLink to={{ name: 'drafts' }}>
            {say('place.drafts')} {count > 0 && <span class="badge">{count}</span>}
          </PlaceLink>
        </li>
        {me.role !== 'user' && (
          <li class="apart">
            <PlaceLink to={{ name: 'moderation', list: 'open' }} current={name === 'moderation'}>
              {say('place.moderation')}
            </PlaceLink>
          </li>
        )}
      </ul>
      <Search />
    </nav>
  );
}
