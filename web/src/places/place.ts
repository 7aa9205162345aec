import type { Sort } from 'tidings-client';
import { say } from '../languages/say.ts';

/** What the page can show. Each place has an address: a reload, a bookmark and "Back" lead to it. */
export type Place =
  | { name: 'everyone'; sort: Sort }
  | { name: 'home'; sort: Sort }
  | { name: 'search'; words: string; sort: Sort }
  | { name: 'tag'; tag: string; sort: Sort }
  | { name: 'post'; id: number }
  /** `id` where it is known: it finds a user who has been renamed since. It is in no address. */
  | { name: 'author'; username: string; id?: number }
  | { name: 'people'; username: string; list: 'followers' | 'following' }
  | { name: 'notifications' }
  | { name: 'drafts' }
  | { name: 'account' }
  /** Whom the reader has blocked or muted. */
  | { name: 'kept-away'; list: KeptAway }
  /** For moderators. */
  | { name: 'moderation'; list: ModerationList };

export type KeptAway = 'blocks' | 'mutes';

/** Cases of reports, or the audit log. */
export type ModerationList = 'open' | 'resolved' | 'audit';

/** A place whose posts can be shown in several orders. */
export type SortedPlace = Extract<Place, { sort: Sort }>;

export const sorts = ['new', 'top', 'hot'] as const satisfies Sort[];

/** Characters of a search at most. */
export const MAX_SEARCH = 200;

/** The place of an address. The server serves the page at no other path: `server/docs/home.ts`. */
export function placeAt({ pathname, search }: Pick<Location, 'pathname' | 'search'>): Place {
  const params = new URLSearchParams(search);
  const sort = sorts.find((name) => name === params.get('sort')) ?? 'new';
  const [first = '', second = ''] = pathname.slice(1).split('/').map(decoded);
  // `/?search=` is where searches were before they had a path.
  const words = (params.get(first === 'search' ? 'q' : 'search') ?? '').slice(0, MAX_SEARCH);
  if (words !== '') return { name: 'search', words, sort };
  if (first.startsWith('@')) {
    const username = first.slice(1);
    const list = second === 'followers' || second === 'following' ? second : undefined;
    return list ? { name: 'people', username, list } : { name: 'author', username };
  }
  if (first === 'tags') return { name: 'tag', tag: second, sort };
  if (first === 'p') return { name: 'post', id: Number(second) };
  if (first === 'home') return { name: 'home', sort };
  if (first === 'account' && (second === 'blocks' || second === 'mutes'))
    return { name: 'kept-away', list: second };
  if (first === 'moderation')
    return { name: first, list: second === 'resolved' || second === 'audit' ? second : 'open' };
  if (first === 'notifications' || first === 'drafts' || first === 'account') return { name: first };
  return { name: 'everyone', sort };
}

export function addressOf(place: Place): string {
  switch (place.name) {
    case 'everyone':
      return `/${query(place)}`;
    case 'home':
      return `/home${query(place)}`;
    case 'search':
      return `/search${query(place, place.words)}`;
    case 'tag':
      return `/tags/${encodeURIComponent(place.tag)}${query(place)}`;
    case 'post':
      return `/p/${place.id}`;
    case 'author':
      return `/@${encodeURIComponent(place.username)}`;
    case 'people':
      return `/@${encodeURIComponent(place.username)}/${place.list}`;
    case 'kept-away':
      return `/account/${place.list}`;
    case 'moderation':
      return place.list === 'open' ? '/moderation' : `/moderation/${place.list}`;
    default:
      return `/${place.name}`;
  }
}

/** What the service is called, in every language. */
export const SITE = 'Tidings';

/** The title of the window at a place of that name. */
export function named(name: string): string {
  return `${name} · ${SITE}`;
}

/** What the window's title says of a place, as far as its address tells. */
export function titleOf(place: Place): string {
  switch (place.name) {
    case 'everyone':
      return place.sort === 'new' ? SITE : named(say(`place.${place.sort}`));
    case 'home':
      return named(say('place.home'));
    case 'search':
      return named(say('place.search', { words: place.words }));
    case 'tag':
      return named(`#${place.tag}`);
    case 'post':
      return named(say('place.post'));
    case 'author':
      return named(`@${place.username}`);
    case 'people':
      return named(say(`place.${place.list}`, { name: place.username }));
    case 'kept-away':
      return named(say(`place.${place.list}`));
    default:
      return named(say(`place.${place.name}`));
  }
}

/** Whether two addresses are of one place, in whatever order its posts are. */
export function isSamePlace(one: Place, other: Place): boolean {
  const plain = (place: Place) => addressOf('sort' in place ? { ...place, sort: 'new' } : place);
  return plain(one) === plain(other);
}

function query({ sort }: { sort: Sort }, words?: string): string {
  const params = new URLSearchParams();
  if (words !== undefined) params.set('q', words);
  if (sort !== 'new') params.set('sort', sort);
  return params.size > 0 ? `?${params.toString()}` : '';
}

/** A part of a path; as it is if it is not encoded well. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
