import { effect } from '@preact/signals';
import { announce } from '../chrome/announcer.tsx';
import type { Timeline } from '../feed/timeline.ts';
import { say } from '../languages/say.ts';
import { debouncedStatus } from './debounced-status.ts';

/** Says to those who do not see the light that the connection went and came back. */
export function tellOfConnection(timeline: Timeline): () => void {
  const [status, endDebounce] = debouncedStatus(timeline.status);
  let was = status.peek().state;
  const ends = [
    endDebounce,
    effect(() => {
      const { state } = status.value;
      if (state === 'offline' && was === 'live') announce(say('connection.lost'));
      if (state === 'live' && was !== 'live' && was !== 'connecting') announce(say('connection.back'));
      was = state;
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
