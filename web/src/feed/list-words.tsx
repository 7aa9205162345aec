import type { ComponentChildren } from 'preact';
import type { SortedPlace } from '../places/place.ts';
import { allOf } from './search-result.tsx';

/** What the heading of a list says. */
export function headingOf(here: SortedPlace): ComponentChildren {
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

/** What is said in place of a list without posts. */
export function nothingAt(here: SortedPlace): string {
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
