import type { FeedStore } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { problemOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';

/** Says that a vote could not be sent yet, and when it has been counted. @returns ends that */
export function tellOfVotes(store: FeedStore): () => void {
  /** Of each vote that waits, what takes back the notice of that. */
  const waiting = new Map<number, () => void>();
  const ends = [
    store.on('voteDelayed', ({ post_id: id, error }) => {
      waiting.set(
        id,
        notify(say('vote.delayed', { why: problemOf(error) }), 'failed'),
      );
    }),
    store.on('vote', ({ post_id: id }) => {
      const takeBack = waiting.get(id);
      if (!takeBack) return;
      waiting.delete(id);
      takeBack();
      notify(say('vote.counted'));
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
