import { effect, signal } from '@preact/signals';
import type { FeedStore } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { problemOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';

/** Of each vote that waits for the server, what takes back the notice of that. */
const waiting = signal<ReadonlyMap<number, () => void>>(new Map());

/** A vote has been counted, refused or given up. @returns whether it had to wait */
export function voteSettled(postId: number): boolean {
  const takeBack = waiting.peek().get(postId);
  if (!takeBack) return false;
  takeBack();
  waiting.value = new Map([...waiting.peek()].filter(([id]) => id !== postId));
  return true;
}

/**
 * Says that a vote could not be sent yet, and when it has been counted. While one waits, the browser asks before the page
 * is left: the vote would be lost with it. @returns ends that
 */
export function tellOfVotes(store: FeedStore): () => void {
  const ends = [
    store.on('voteDelayed', ({ post_id: id, error }) => {
      const takeBack = notify(say('vote.delayed', { why: problemOf(error) }), 'failed');
      waiting.value = new Map([...waiting.peek(), [id, takeBack]]);
    }),
    store.on('vote', ({ post_id: id }) => {
      if (voteSettled(id)) notify(say('vote.counted'));
    }),
    effect(() => {
      if (waiting.value.size === 0) return undefined;
      const ask = (event: BeforeUnloadEvent) => event.preventDefault();
      window.addEventListener('beforeunload', ask);
      return () => window.removeEventListener('beforeunload', ask);
    }),
  ];
  return () => {
    for (const end of ends) end();
    // The votes go with the session: they are nobody else's.
    for (const id of waiting.peek().keys()) voteSettled(id);
  };
}
