import { say } from '../languages/say.ts';
import { sorts, type SortedPlace } from '../places/place.ts';
import { PlaceLink } from '../places/place-link.tsx';

/** The orders in which the posts of a place can be shown. */
export function Orders({ of }: { of: SortedPlace }) {
  return (
    <nav class="orders" aria-label={say('feed.order')}>
      <ul>
        {sorts.map((sort) => (
          <li key={sort}>
            <PlaceLink to={{ ...of, sort }}>{say(`feed.${sort}`)}</PlaceLink>
          </li>
        ))}
      </ul>
    </nav>
  );
}
