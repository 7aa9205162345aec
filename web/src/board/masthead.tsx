import { Mark } from '../chrome/mark.tsx';
import { PlaceLink } from '../places/place-link.tsx';
import { SITE } from '../places/place.ts';

/** The site name; it links to the newest posts. */
export function Masthead() {
  return (
    <PlaceLink to={{ name: 'everyone', sort: 'new' }} class="masthead" current={false}>
      <Mark />
      <span>{SITE}</span>
    </PlaceLink>
  );
}
