import type { ComponentChildren } from 'preact';
import { go, place } from './history.ts';
import { addressOf, type Place } from './place.ts';

interface PlaceLinkProps {
  to: Place;
  class?: string;
  title?: string;
  /** For what users write: its direction, apart from that of the text around it. */
  dir?: 'auto';
  /** Whether the reader is there; left out, whether the address is the tab's. */
  current?: boolean;
  children: ComponentChildren;
}

/** A link to a place of this page. With a key held down it opens where any link would: in a new tab or window. */
export function PlaceLink({ to, current, children, ...attributes }: PlaceLinkProps) {
  const href = addressOf(to);
  const there = current ?? addressOf(place.value) === href;
  return (
    <a
      {...attributes}
      href={href}
      aria-current={there ? 'page' : undefined}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(to);
      }}
    >
      {children}
    </a>
  );
}
