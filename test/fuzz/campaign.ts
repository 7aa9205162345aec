import type { Random } from '../faults/random.ts';

/** What the parts of a campaign share. */
export interface Campaign {
  /** Addresses of the nodes. */
  urls: readonly string[];
  random: Random;
  /** Whether nothing more is to be begun: the time is over, or a node has ended. */
  over: () => boolean;
  /** Remembers an input as in progress, so that a crash can be laid to it. */
  note: (input: string) => void;
  /** Tells something that must not be, with the input that did it. */
  violate: (what: string, input: string) => void;
}

/** How many connections or requests are in progress at once. */
const AT_ONCE = 16;

/**
 * Runs numbered inputs, a few at a time, until there are enough or the time is over.
 * @param work takes the number of the next input and gives how many were sent
 * @returns how many were sent
 */
export async function inTurns(
  count: number,
  over: () => boolean,
  work: (at: number) => Promise<number>,
): Promise<number> {
  let sent = 0;
  let next = 0;
  const turn = async () => {
    while (sent < count && !over()) {
      const at = next;
      next += 1;
      // Not `sent += await …`, which reads before it waits: the others have added meanwhile.
      const more = await work(at);
      sent += more;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, turn));
  return sent;
}
