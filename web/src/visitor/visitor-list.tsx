import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo } from 'preact/hooks';
import type { ListOptions, PostAnswer } from 'tidings-client';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { scrollToWanted } from '../places/scroll.ts';
import { service } from '../service.ts';
import { Pages } from '../chrome/pages.ts';
import { VisitorPost } from './visitor-post.tsx';

/** Posts in a request. */
const PAGE = 20;

interface VisitorListProps {
  query: Pick<ListOptions, 'sort' | 'search' | 'tag' | 'ownerId'>;
  /** What is said where there are no posts. */
  nothing: ComponentChildren;
}

/** A list of posts, read when the visitor comes to it and when they come back to its window at its top. */
export function VisitorList({ query, nothing }: VisitorListProps) {
  const key = JSON.stringify(query);
  const pages = useMemo(
    () =>
      new Pages<PostAnswer>(async (cursor, signal) => {
        const page = await service.posts.list({ ...query, published: true, limit: PAGE, cursor, signal });
        return { items: page.posts, next: page.next };
      }),
    // The query is made anew with each rendering.
    [key],
  );
  useEffect(() => {
    const comeBack = () => {
      if (!document.hidden && window.scrollY === 0) void pages.load();
    };
    document.addEventListener('visibilitychange', comeBack);
    return () => {
      document.removeEventListener('visibilitychange', comeBack);
      pages.close();
    };
  }, [pages]);
  const posts = pages.items.value;
  const loading = pages.loading.value;
  const error = pages.error.value;
  const hasMore = pages.hasMore.value;
  useLayoutEffect(() => {
    if (loading) return;
    scrollToWanted({ draw: () => false, loadMore: hasMore ? () => void pages.loadMore() : undefined });
  }, [pages, posts, loading, hasMore]);
  return (
    <>
      {posts.map((post) => (
        <VisitorPost key={post.id} post={post} />
      ))}
      {posts.length === 0 && (loading ? <Skeleton /> : !error && <div class="nothing">{nothing}</div>)}
      <EndOfPages store={pages} state={{ loading, error, hasMore, page: pages.page.value }} />
    </>
  );
}
