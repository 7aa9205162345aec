import type { Batch, Follower } from './follower.ts';
import { type LogEntry, type LogSource, readLog } from './reader.ts';
import type { Numbered } from './numbering.ts';

/**
 * Hands on what this process has numbered: to its own follower, and to the other nodes.
 * @param tellOthers the fast path; whatever it loses each node reads from the log
 * @returns for the sequencer. Events that are too much text to come with their numbers are read first
 */
export function announcer(
  source: LogSource,
  feed: Pick<Follower, 'epoch' | 'offer' | 'wake'>,
  tellOthers: (batch: Batch) => void,
  counted: (events: number) => void,
): (numbered: Numbered) => void {
  return ({ first, last, entries: numbered }) => {
    counted(last - first + 1);
    const { epoch } = feed;
    const tell = (entries: LogEntry[]) => {
      // First: what this process does for its own subscribers may take a while.
      tellOthers({ epoch, entries });
      feed.offer({ epoch, entries });
    };
    const readAndTell = async () => {
      for (let after = first - 1; after < last;) {
        const entries = await readLog(source, after, last - after);
        const end = entries.at(-1)?.seq;
        if (end === undefined) return;
        tell(entries);
        after = end;
      }
    };
    if (numbered) tell(numbered);
    // Every node reads the log on its own clock.
    else readAndTell().catch(() => feed.wake());
  };
}
