import { effect } from '@preact/signals';
import type { Timeline } from '../feed/timeline.ts';
import { place, placeName } from '../places/history.ts';
import { titleOf } from '../places/place.ts';

/** Names the window, and with it the entry of the history, after the place, and says how many new posts wait. */
export function nameWindow(timeline: Timeline): () => void {
  const end = effect(() => {
    const waiting = timeline.arrivals.value.length;
    document.title =
      (waiting > 0 ? `(${waiting}) ` : '') +
      (placeName.value === undefined ? titleOf(place.value) : `${placeName.value} · Tidings`);
  });
  return () => {
    end();
    document.title = 'Tidings';
  };
}
