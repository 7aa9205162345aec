import type { PagesState } from 'tidings-client';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { say } from '../languages/say.ts';
import { isFocusLost } from './attention.ts';
import { focusEntry } from './kept-focus.ts';
import { Trouble } from './trouble.tsx';
import { sentenceOf } from './sentence.ts';

/** A list that is loaded page by page. */
interface Pages {
  load: () => Promise<void>;
  loadMore: () => Promise<void>;
}

interface EndOfPagesProps {
  store: Pages;
  state: Pick<PagesState, 'loading' | 'error' | 'hasMore' | 'page'>;
}

/** What is below a list: why a page could not be loaded, or the button for the next one. */
export function EndOfPages({ store, state }: EndOfPagesProps) {
  const { loading, error, hasMore, page } = state;
  const end = useRef<HTMLDivElement>(null);
  /** The last entry that was shown when the reader asked for more. */
  const last = useRef<Element | null>(null);
  useLayoutEffect(() => {
    const before = last.current;
    if (loading || !before) return;
    last.current = null;
    // The button is gone with the last page.
    if (!hasMore && !error && isFocusLost()) focusEntry(before.nextElementSibling ?? before);
  }, [loading, hasMore, error]);
  const more = () => {
    const list = end.current?.previousElementSibling;
    last.current = list?.matches('ul') ? list.lastElementChild : (list ?? null);
    void store.loadMore();
  };
  if (error) {
    const again = () => void (page === 'first' ? store.load() : store.loadMore());
    return <Trouble again={again}>{sentenceOf(error)}</Trouble>;
  }
  if (!hasMore) return null;
  return (
    <div ref={end} class="end">
      <button type="button" class="secondary" aria-disabled={loading} onClick={more}>
        {say('more')}
      </button>
    </div>
  );
}
