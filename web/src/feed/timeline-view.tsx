import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Place } from '../places/place.ts';
import { scrollToWanted } from '../places/scroll.ts';
import { useVisit } from '../board/visit.ts';
import { ArrivalsPill } from './arrivals-pill.tsx';
import { Orders } from './orders.tsx';
import { PostCard } from './post-card.tsx';

/** How far before its end the next page is asked for. */
const AHEAD = '900px 0px';

/** The list of posts, endless while there are more. */
export function TimelineView({ here }: { here: Extract<Place, { name: 'everyone' | 'search' }> }) {
  const { timeline } = useVisit();
  const entries = timeline.entries.value;
  const reading = timeline.reading.value;
  const trouble = timeline.trouble.value;
  const hasMore = timeline.hasMore.value;
  useLayoutEffect(() => {
    if (!reading) scrollToWanted(hasMore ? () => void timeline.store.loadMore() : undefined);
  }, [timeline, entries, reading, hasMore]);
  return (
    <section class="timeline" aria-labelledby="timeline-title">
      {here.name === 'search' ? (
        <h1 id="timeline-title" class="place-title" tabIndex={-1}>
          Posts with <bdi>“{here.words}”</bdi>
        </h1>
      ) : (
        <h1 id="timeline-title" class="unseen">
          Posts of everyone
        </h1>
      )}
      <Orders of={here} />
      <ArrivalsPill />
      {trouble && (
        <p class="trouble" role="alert">
          {trouble.message}{' '}
          <button type="button" class="link" onClick={() => void timeline.store.load()}>
            Try again
          </button>
        </p>
      )}
      {entries.length > 0 ? (
        <div role="feed" aria-label="Posts" aria-busy={reading} class={reading ? 'entries stale' : 'entries'}>
          {entries.map((entry, index) => (
            <PostCard key={entry.id} entry={entry} place={index + 1} />
          ))}
        </div>
      ) : (
        <Nothing />
      )}
      <End />
    </section>
  );
}

function Nothing() {
  const { timeline } = useVisit();
  const { search } = timeline.query.value;
  if (timeline.reading.value) return <Skeleton />;
  if (timeline.trouble.value) return null;
  return (
    <p class="nothing">
      {search === ''
        ? 'Nobody has written anything yet. The first word is yours.'
        : `No post contains “${search}”.`}
    </p>
  );
}

/** The shape of what is to come, for the moment until it does. */
function Skeleton() {
  return (
    <div class="skeleton" aria-hidden="true">
      {[1, 2, 3].map((key) => (
        <div key={key}>
          <span />
          <span />
          <span />
        </div>
      ))}
    </div>
  );
}

/** Asks for the next page when it comes near the screen. */
function End() {
  const { timeline } = useVisit();
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
      {reading && <p class="muted">More…</p>}
      {trouble && (
        <p class="trouble" role="alert">
          {trouble.message}{' '}
          <button type="button" class="link" onClick={() => void timeline.store.loadMore()}>
            Try again
          </button>
        </p>
      )}
      {!hasMore && count > 8 && <p class="muted end-mark">You have seen it all.</p>}
    </div>
  );
}
