import { useRef, useState } from 'preact/hooks';

/** An entry that is shown; `gone`: it is only shown for what is written in it. */
export interface HeldEntry<T> {
  entry: T;
  gone: boolean;
}

/**
 * The entries of a list, and among them those that have gone while the reader was writing in them: nothing is taken away
 * under anybody's hands.
 * @param idOf by what an entry is known
 * @param holds whether something is written in an entry that has gone; asked with each rendering
 * @returns them in their order, and what has the list drawn again, for a reader who is done with one that has gone
 */
export function useHeldEntries<T>(
  entries: readonly T[],
  idOf: (entry: T) => number,
  holds: (entry: T) => boolean,
): { shown: readonly HeldEntry<T>[]; drawAgain: () => void } {
  const before = useRef<readonly T[]>([]);
  const [, setRound] = useState(0);
  const all = [...entries];
  const known = new Set(entries.map(idOf));
  before.current.forEach((entry, at) => {
    if (known.has(idOf(entry)) || !holds(entry)) return;
    // Under what it was under.
    const above = before.current.slice(0, at).map(idOf);
    all.splice(all.findLastIndex((one) => above.includes(idOf(one))) + 1, 0, entry);
  });
  before.current = all;
  return {
    shown: all.map((entry) => ({ entry, gone: !known.has(idOf(entry)) })),
    drawAgain: () => setRound((round) => round + 1),
  };
}
