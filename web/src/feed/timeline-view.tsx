import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { isPlaceWanted, scrollToWanted } from '../places/scroll.ts';
import { ArrivalsPill } from './arrivals-pill.tsx';
import { ChunkView } from './chunk-view.tsx';
import { drawInTurn } from './chunks.ts';
import { PostStoreProvider } from './post-store.ts';
import { Skeleton } from './skeleton.tsx';
import type { Timeline } from './timeline.ts';
import { useSlide } from './use-slide.ts';
import { Trouble } from '../chrome/trouble.tsx';

/** How far before its end the next page is asked for. */
const AHEAD = '900px 0px';

interface TimelineViewProps {
  timeline: Timeline;
  /** What is said where there are no posts. */
  nothing: ComponentChildren;
}

/** The list of posts, endless while there are more. */
export function TimelineView({ timeline, nothing }: TimelineViewProps) {
  useMemo(() => {
    if (!isPlaceWanted()) drawInTurn(timeline.chunks.peek());
  }, [timeline]);
  const chunks = timeline.chunks.value;
  const reading = timeline.reading.value;
  const trouble = timeline.trouble.value;
  const hasMore = timeline.hasMore.value;
  const onDrawn = useCallback(() => {
    if (timeline.reading.peek()) return;
    scrollToWanted({
      draw: (postId) => timeline.draw(postId),
      loadMore: timeline.hasMore.peek() ? () => void timeline.store.loadMore() : undefined,
    });
  }, [timeline]);
  useLayoutEffect(onDrawn, [onDrawn, chunks, reading, hasMore]);
  const list = useRef<HTMLDivElement>(null);
  useSlide(list, timeline.entries.value);
  return (
    <PostStoreProvider value={timeline.store}>
      <ArrivalsPill />
      {trouble && <Trouble again={() => void timeline.store.load()}>{sentenceOf(trouble)}</Trouble>}
      {chunks.length > 0 && (
        <div class="entries-frame">
          <div
            ref={list}
            role="feed"
            aria-label={say('feed.posts')}
            aria-busy={reading}
            class={reading ? 'entries stale' : 'entries'}
          >
            {chunks.map((chunk) => (
              <ChunkView key={chunk.id} chunk={chunk} onDrawn={onDrawn} />
            ))}
          </div>
        </div>
      )}
      {chunks.length === 0 && (reading ? <Skeleton /> : !trouble && <div class="nothing">{nothing}</div>)}
      <End timeline={timeline} />
    </PostStoreProvider>
  );
}

/** Asks for the next page when it comes near the screen. */
function End({ timeline }: { timeline: Timeline }) {
  const element = useRef<HTMLDivElement>(null);
  const count = timeline.entries.value.length;
  const reading = timeline.readingMore.value;
  const trouble = timeline.troubleWithMore.value;
  const hasMore = timeline.hasMore.value;
  // Again after each page: an observer tells of changes alone, and the end may still be on the screen.
  useEffect(() => {
    const target = element.current;
    if (!target || !hasMore || reading || trouble) return undefined;
    const observer = new IntersectionObserver(
      ([change]) => {
        if (change?.isIntersecting) void timeline.store.loadMore();
      },
      { rootMargin: AHEAD },
    );
    observer.observe(target);
    return () => observer.disconnect();
  }, [timeline, count, hasMore, reading, trouble]);
  return (
    <div ref={element} class="end">
      {reading && <p class="muted">{say('feed.loading')}</p>}
      {trouble && <Trouble again={() => void timeline.store.loadMore()}>{sentenceOf(trouble)}</Trouble>}
      {!hasMore && count > 8 && <p class="muted end-mark">{say('feed.over')}</p>}
    </div>
  );
}
