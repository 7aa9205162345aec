import { type ShownPost, TidingsError } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { Count } from './count.tsx';
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
      // Given up, since the user has logged out.
      if (error instanceof TidingsError && error.code === 'aborted') return;
      notify(`Your vote was not counted. ${sentenceOf(error)}`, 'failed');
    }
  };
  const deed = voted ? 'Take your vote back (v)' : 'Vote for this (v)';
  return (
    <button
      type="button"
      class={voteDelayed ? 'vote delayed' : 'vote'}
      aria-pressed={voted}
      aria-label={`Vote, ${votes === 1 ? '1 vote' : `${votes} votes`}${voteDelayed ? ', yours is not sent yet' : ''}`}
      title={voteDelayed ? 'Not sent yet: it is sent again when the server can be reached.' : deed}
      onClick={() => void vote()}
    >
      <VoteMark />
      <Count value={votes} />
    </button>
  );
}
