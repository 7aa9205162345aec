import { type ShownPost, TidingsError } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { Count } from './count.tsx';
import { voteSettled } from './tell-of-votes.ts';
import { usePostStore } from './post-store.ts';
import { VoteMark } from './vote-mark.tsx';

/** The tally of a post, and the reader's own vote in it. */
export function VoteButton({ post }: { post: ShownPost }) {
  const store = usePostStore();
  const { id, voted, votes, voteDelayed } = post;
  const vote = async () => {
    try {
      await store.vote(id, !voted);
    } catch (error) {
      voteSettled(id);
      // Given up, since the user has logged out.
      if (error instanceof TidingsError && error.code === 'aborted') return;
      notify(say('vote.failed', { why: sentenceOf(error) }), 'failed');
    }
  };
  const deed = say(voted ? 'vote.takeBack' : 'vote.give');
  return (
    <button
      type="button"
      class={voteDelayed ? 'vote delayed' : 'vote'}
      aria-pressed={voted}
      aria-label={say(voteDelayed ? 'vote.labelDelayed' : 'vote.label', { count: votes })}
      title={voteDelayed ? say('vote.delayedHint') : deed}
      onClick={() => void vote()}
    >
      <VoteMark />
      <Count value={votes} />
    </button>
  );
}
