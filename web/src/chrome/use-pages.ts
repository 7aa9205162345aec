import { useRef, useState } from 'preact/hooks';

export interface ReadPage<T> {
  items: readonly T[];
  /** The cursor of the page that follows; undefined: it is the last one. */
  next: string | undefined;
}

/**
 * A list that is read page by page. Of reads from its beginning that overlap the newest counts; a further page is not
 * read while another is.
 * @param readPage from a cursor on; from the beginning without one
 */
export function usePages<T>(readPage: (cursor: string | undefined) => Promise<ReadPage<T>>) {
  const [pages, setPages] = useState<ReadPage<T>>();
  const [error, setError] = useState<unknown>();
  const reads = useRef({ newest: 0, underWay: 0 });
  const read = async (cursor?: string) => {
    const { current } = reads;
    if (cursor !== undefined && current.underWay > 0) return;
    const own = (current.newest += 1);
    current.underWay += 1;
    try {
      const { items, next } = await readPage(cursor);
      if (own !== current.newest) return;
      setError(undefined);
      setPages((before) => ({
        items: cursor === undefined ? items : [...(before?.items ?? []), ...items],
        next,
      }));
    } catch (caught) {
      if (own === current.newest) setError(caught);
    } finally {
      current.underWay -= 1;
    }
  };
  return {
    /** Undefined until the first page has been read. */
    items: pages?.items,
    /** Whether there are more. */
    hasMore: pages?.next !== undefined,
    /** Why the newest read failed. */
    error,
    load: () => read(),
    loadMore: () => read(pages?.next),
    remove: (is: (item: T) => boolean) =>
      setPages((before) => before && { ...before, items: before.items.filter((item) => !is(item)) }),
  };
}
