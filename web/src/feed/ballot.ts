import type { Votes, VoteView } from 'tidings-client';
import type { Entry } from './entry.ts';

const casting = new WeakSet<Entry>();

/**
 * Votes, or takes the vote back: shown at once, and corrected by the answer. However quickly one changes one's mind, there
 * is one request at a time, and the last wish is the one that stands.
 * @param onAnswer told what the server says of each
 * @throws {TidingsError} the server refused; the page shows again what is
 */
export async function toggleVote(
  entry: Entry,
  votes: Pick<Votes, 'cast' | 'takeBack'>,
  onAnswer: (vote: VoteView) => void,
): Promise<void> {
  entry.hope(!entry.shown.peek().voted);
  if (casting.has(entry)) return;
  casting.add(entry);
  try {
    for (let wish = entry.hoped.peek(); wish; wish = entry.hoped.peek()) {
      const { voted } = wish;
      const vote = voted ? await votes.cast(entry.id) : await votes.takeBack(entry.id);
      entry.keepVote(vote);
      onAnswer(vote);
      if (entry.hoped.peek()?.voted === voted) break;
    }
  } finally {
    entry.hoped.value = undefined;
    casting.delete(entry);
  }
}
