import type { Votes } from 'tidings-client';
import type { Entry } from './entry.ts';

const casting = new WeakSet<Entry>();

/**
 * Votes, or takes the vote back: shown at once, and corrected by the answer. However quickly one changes one's mind, there
 * is one request at a time, and the last wish is the one that stands.
 * @throws {TidingsError} the server refused; the page shows again what is
 */
export async function toggleVote(entry: Entry, votes: Pick<Votes, 'cast' | 'takeBack'>): Promise<void> {
  entry.hope(!entry.shown.peek().voted);
  if (casting.has(entry)) return;
  casting.add(entry);
  try {
    for (let wish = entry.hoped.peek(); wish; wish = entry.hoped.peek()) {
      const { voted } = wish;
      entry.keepVote(voted ? await votes.cast(entry.id) : await votes.takeBack(entry.id));
      if (entry.hoped.peek()?.voted === voted) break;
    }
  } finally {
    entry.hoped.value = undefined;
    casting.delete(entry);
  }
}
