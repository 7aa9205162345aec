import type { ComponentChildren } from 'preact';
import { useVisit } from '../board/visit.ts';
import { Suggestions } from '../people/suggestions.tsx';
import type { SortedPlace } from '../places/place.ts';
import { Composer } from '../write/composer.tsx';
import { Orders } from './orders.tsx';
import { allOf, SearchResult } from './search-result.tsx';
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

function headingOf(here: SortedPlace): ComponentChildren {
  switch (here.name) {
    case 'everyone':
      return 'Posts of everyone';
    case 'home':
      return 'Posts of those whom you follow';
    case 'tag':
      return <bdi>#{here.tag}</bdi>;
    case 'search':
      return (
        <>
          Posts with <bdi>“{here.words}”</bdi>
        </>
      );
  }
}

function nothingAt(here: SortedPlace): string {
  switch (here.name) {
    case 'everyone':
      return 'Nobody has written anything yet. The first word is yours.';
    case 'home':
      return 'Nothing yet from those whom you follow.';
    case 'tag':
      return `No post has the tag #${here.tag}.`;
    case 'search':
      return `Nothing has ${allOf(here.words)}. Fewer words, or the beginnings of words, find more.`;
  }
}
