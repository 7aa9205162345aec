import { effect } from '@preact/signals';
import { announce } from '../chrome/announcer.tsx';
import type { Timeline } from '../feed/timeline.ts';
import { debouncedStatus } from './debounced-status.ts';

/** Says to those who do not see the light that the connection went and came back. */
export function tellOfConnection(timeline: Timeline): () => void {
  const [status, endDebounce] = debouncedStatus(timeline.status);
  let was = status.peek().state;
  const ends = [
    endDebounce,
    effect(() => {
      const { state } = status.value;
      if (state === 'offline' && was === 'live') announce('The connection is lost. Trying again.');
      if (state === 'live' && was !== 'live' && was !== 'connecting')
        announce('Live again. Nothing was missed.');
      was = state;
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
