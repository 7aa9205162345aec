import type { Sort } from 'tidings-client';

/** What the page can show. Each place has an address: a reload, a bookmark and "Back" lead to it. */
export type Place =
  | { name: 'everyone'; sort: Sort }
  | { name: 'search'; words: string; sort: Sort }
  | { name: 'drafts' }
  | { name: 'account' };

export const sorts = ['new', 'top', 'hot'] as const satisfies Sort[];

/** Characters of a search at most. */
export const MAX_SEARCH = 200;

/** The place of an address. The server serves the page at no other path: `server/docs/home.ts`. */
export function placeAt({ pathname, search }: Pick<Location, 'pathname' | 'search'>): Place {
  const params = new URLSearchParams(search);
  const sort = sorts.find((name) => name === params.get('sort')) ?? 'new';
  const [, first = ''] = pathname.split('/');
  // `/?search=` is where searches were before they had a path.
  const words = (params.get(first === 'search' ? 'q' : 'search') ?? '').slice(0, MAX_SEARCH);
  if (words !== '') return { name: 'search', words, sort };
  if (first === 'drafts' || first === 'account') return { name: first };
  return { name: 'everyone', sort };
}

export function addressOf(place: Place): string {
  switch (place.name) {
    case 'everyone':
      return `/${query({ sort: place.sort })}`;
    case 'search':
      return `/search${query({ q: place.words, sort: place.sort })}`;
    default:
      return `/${place.name}`;
  }
}

/** What the window's title says of a place. */
export function titleOf(place: Place): string {
  switch (place.name) {
    case 'everyone':
      return { new: 'Tidings', top: 'Top posts · Tidings', hot: 'Hot posts · Tidings' }[place.sort];
    case 'search':
      return `${place.words} · Search · Tidings`;
    case 'drafts':
      return 'Drafts · Tidings';
    case 'account':
      return 'Your account · Tidings';
  }
}

/** Whether two addresses are of one place, in whatever order its posts are. */
export function isSamePlace(one: Place, other: Place): boolean {
  const plain = (place: Place) => addressOf('sort' in place ? { ...place, sort: 'new' } : place);
  return plain(one) === plain(other);
}

function query({ q, sort }: { q?: string; sort: Sort }): string {
  const params = new URLSearchParams();
  if (q !== undefined) params.set('q', q);
  if (sort !== 'new') params.set('sort', sort);
  return params.size > 0 ? `?${params.toString()}` : '';
}
