import type { Sort } from 'tidings-client';
import { sorts, type SortedPlace } from '../places/place.ts';
import { PlaceLink } from '../places/place-link.tsx';

const names: Record<Sort, string> = { new: 'New', top: 'Top', hot: 'Hot' };

/** The orders in which the posts of a place can be shown. */
export function Orders({ of }: { of: SortedPlace }) {
  return (
    <nav class="orders" aria-label="Order">
      <ul>
        {sorts.map((sort) => (
          <li key={sort}>
            <PlaceLink to={{ ...of, sort }}>{names[sort]}</PlaceLink>
          </li>
        ))}
      </ul>
    </nav>
  );
}
