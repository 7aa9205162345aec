import type { Sort } from 'tidings-client';

/** What of the feed is shown. It is in the page's address, so that a reload or a bookmark comes back to it. */
export interface Query {
  sort: Sort;
  search: string;
}

export const sorts = ['new', 'top', 'hot'] as const satisfies Sort[];

export function readQuery(search: string): Query {
  const params = new URLSearchParams(search);
  const sort = params.get('sort');
  return {
    sort: sorts.find((name) => name === sort) ?? 'new',
    search: (params.get('search') ?? '').slice(0, 200),
  };
}

export function writeQuery({ sort, search }: Query): string {
  const params = new URLSearchParams();
  if (sort !== 'new') params.set('sort', sort);
  if (search !== '') params.set('search', search);
  return params.size > 0 ? `?${params.toString()}` : location.pathname;
}
