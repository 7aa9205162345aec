import type { PagesState } from 'tidings-client';
import { say } from '../languages/say.ts';
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
  if (error) {
    const again = () => void (page === 'first' ? store.load() : store.loadMore());
    return <Trouble again={again}>{sentenceOf(error)}</Trouble>;
  }
  if (!hasMore) return null;
  return (
    <div class="end">
      <button type="button" class="secondary" aria-disabled={loading} onClick={() => void store.loadMore()}>
        {say('more')}
      </button>
    </div>
  );
}
