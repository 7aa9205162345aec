import { useEffect, useRef } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { ArrivalsPill } from './arrivals-pill.tsx';
import { PostCard } from './post-card.tsx';

/** How far before its end the next page is asked for. */
const AHEAD = '900px 0px';

/** The list of posts, endless while there are more. */
export function TimelineView() {
  const { timeline } = useVisit();
  const entries = timeline.entries.value;
  const reading = timeline.reading.value;
  const { sort, search } = timeline.query.value;
  return (
    <section class="timeline" aria-labelledby="timeline-title">
      <h2 id="timeline-title" class="unseen">
        {search === '' ? `Posts: ${sort}` : `Posts with “${search}”: ${sort}`}
      </h2>
      <ArrivalsPill />
      {reading.state === 'failed' && (
        <p class="trouble" role="alert">
          {reading.error.message}{' '}
          <button type="button" class="link" onClick={() => void timeline.load()}>
            Try again
          </button>
        </p>
      )}
      {entries.length > 0 ? (
        <div
          role="feed"
          aria-label="Posts"
          aria-busy={reading.state === 'reading'}
          class={reading.state === 'reading' ? 'entries stale' : 'entries'}
        >
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
  if (timeline.reading.value.state === 'reading') return <Skeleton />;
  if (timeline.reading.value.state === 'failed') return null;
  return (
    <p class="nothing">
      {search === ''
        ? 'Nobody has written anything yet. The first word is yours.'
        : `No post says “${search}”.`}
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
  const more = timeline.readingMore.value;
  const hasMore = timeline.hasMore.value;
  // Again after each page: an observer tells of changes alone, and the end may still be on the screen.
  useEffect(() => {
    const target = element.current;
    if (!target || !hasMore || more.state !== 'idle') return undefined;
    const observer = new IntersectionObserver(
      ([change]) => {
        if (change?.isIntersecting) void timeline.loadMore();
      },
      { rootMargin: AHEAD },
    );
    observer.observe(target);
    return () => observer.disconnect();
  }, [timeline, count, hasMore, more.state]);
  return (
    <div ref={element} class="end">
      {more.state === 'reading' && <p class="muted">More…</p>}
      {more.state === 'failed' && (
        <p class="trouble" role="alert">
          {more.error.message}{' '}
          <button type="button" class="link" onClick={() => void timeline.loadMore()}>
            Try again
          </button>
        </p>
      )}
      {!hasMore && count > 8 && <p class="muted end-mark">You have seen it all.</p>}
    </div>
  );
}
