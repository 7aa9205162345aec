import { useVisit } from '../board/visit.ts';
import type { SortedPlace } from '../places/place.ts';
import { Composer } from '../write/composer.tsx';
import { Orders } from './orders.tsx';
import { TimelineView } from './timeline-view.tsx';

/** A list of posts that has an order: of everyone, or that a search finds. */
export function FeedView({ here }: { here: SortedPlace }) {
  const { timeline } = useVisit();
  const isSearch = here.name === 'search';
  const nothing = isSearch
    ? `No post contains “${here.words}”.`
    : 'Nobody has written anything yet. The first word is yours.';
  return (
    <>
      {!isSearch && <Composer />}
      <section class="timeline" aria-labelledby="timeline-title">
        <h1
          id="timeline-title"
          class={isSearch ? 'place-title' : 'unseen'}
          tabIndex={isSearch ? -1 : undefined}
        >
          {isSearch ? (
            <>
              Posts with <bdi>“{here.words}”</bdi>
            </>
          ) : (
            'Posts of everyone'
          )}
        </h1>
        <Orders of={here} />
        <TimelineView timeline={timeline} nothing={nothing} />
      </section>
    </>
  );
}
