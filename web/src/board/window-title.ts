import { effect } from '@preact/signals';
import { place, placeName } from '../places/history.ts';
import { named, SITE, titleOf } from '../places/place.ts';
import type { Visit } from './visit.ts';

/** Names the window, and with it the entry of the history, after the place, and says how many new posts wait, or came unseen. */
export function nameWindow({ arrivals, absence }: Visit): () => void {
  const end = effect(() => {
    const waiting = arrivals.value.length + absence.missed.value;
    document.title =
      (waiting > 0 ? `(${waiting}) ` : '') +
      (placeName.value === undefined ? titleOf(place.value) : named(placeName.value));
  });
  return () => {
    end();
    document.title = SITE;
  };
}
