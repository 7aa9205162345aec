import type { VoteView } from 'tidings-client';

/** Between the windows of one browser: the feed has the number of votes, but not whose they are. */
const channel = new BroadcastChannel('tidings-own-votes');

interface Told {
  userId: number;
  vote: VoteView;
}

/** Tells the reader's other windows what became of a vote. */
export function tellOtherWindows(userId: number, vote: VoteView): void {
  channel.postMessage({ userId, vote } satisfies Told);
}

/** Hears what became of this user's votes in other windows. @returns ends that */
export function onVoteElsewhere(userId: number, listener: (vote: VoteView) => void): () => void {
  const hear = ({ data }: MessageEvent<Told>) => {
    if (data.userId === userId) listener(data.vote);
  };
  channel.addEventListener('message', hear);
  return () => channel.removeEventListener('message', hear);
}
