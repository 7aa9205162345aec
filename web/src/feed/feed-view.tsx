import { useVisit } from '../board/visit.ts';
import { Suggestions } from '../people/suggestions.tsx';
import type { SortedPlace } from '../places/place.ts';
import { Composer } from '../write/composer.tsx';
import { headingOf, nothingAt } from './list-words.tsx';
import { Orders } from './orders.tsx';
import { SearchResult } from './search-result.tsx';
import { TimelineView } from './timeline-view.tsx';

/** A list of posts that has an order: of everyone, of those whom one follows, with a tag, or that a search finds. */
export function FeedView({ here }: { here: SortedPlace }) {
  const { timeline } = useVisit();
  const isWritten = here.name === 'everyone' || here.name === 'home';
  return (
    <>
      {isWritten && <Composer />}
      <section class="timeline" aria-labelledby="timeline-title">
        <h1 id="timeline-title" class={isWritten ? 'unseen' : 'place-title'} tabIndex={-1}>
          {headingOf(here)}
        </h1>
        {here.name === 'home' && <Suggestions />}
        {here.name === 'search' && <SearchResult words={here.words} />}
        <Orders of={here} />
        <TimelineView timeline={timeline} nothing={nothingAt(here)} />
      </section>
    </>
  );
}
