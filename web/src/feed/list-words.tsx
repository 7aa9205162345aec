import type { ComponentChildren } from 'preact';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import type { SortedPlace } from '../places/place.ts';
import { allOf } from './search-result.tsx';

/** What the heading of a list says. */
export function headingOf(here: SortedPlace): ComponentChildren {
  switch (here.name) {
    case 'everyone':
      return say('feed.everyone');
    case 'home':
      return say('feed.home');
    case 'tag':
      return <bdi>#{here.tag}</bdi>;
    case 'search':
      return <Said of="feed.search" words={<bdi>{say('search.quoted', { word: here.words })}</bdi>} />;
  }
}

/** What is said in place of a list without posts. */
export function nothingAt(here: SortedPlace): string {
  switch (here.name) {
    case 'everyone':
      return say('feed.noneYours');
    case 'home':
      return say('feed.noneHome');
    case 'tag':
      return say('feed.noneTag', { tag: here.tag });
    case 'search':
      return say('feed.noneFound', { words: allOf(here.words) });
  }
}
