import { type Signal, signal } from '@preact/signals';
import type { Entry } from './timeline.ts';

/**
 * Posts that follow one another in a long list. A chunk that is far from the screen is one empty element of the height
 * that it had, so a list of thousands costs as much as what is near the screen.
 */
export interface Chunk {
  readonly id: number;
  readonly entries: readonly Entry[];
  /** While it is not drawn: its height in CSS pixels. */
  readonly height: Signal<number | undefined>;
}

/** Posts in a chunk at most. */
const MOST = 20;

let lastId = 0;

/** Splits a list into chunks. What has not changed since `before` is the same object, and a post stays in its chunk. */
export function chunksOf(entries: readonly Entry[], before: readonly Chunk[]): readonly Chunk[] {
  const homes = new Map(before.flatMap((chunk) => chunk.entries.map(({ id }) => [id, chunk] as const)));
  const groups: { home: Chunk | undefined; entries: Entry[] }[] = [];
  const taken = new Set<Chunk>();
  for (const entry of entries) {
    const known = homes.get(entry.id);
    const last = groups.at(-1);
    if (last && known && last.home === known) last.entries.push(entry);
    else if (last && !known && last.entries.length < MOST) last.entries.push(entry);
    else if (last && known && !last.home && last.entries.length + known.entries.length <= MOST) {
      // New posts on top go to the first chunk until that is full.
      last.home = known;
      taken.add(known);
      last.entries.push(entry);
    } else {
      const home = known && !taken.has(known) ? known : undefined;
      if (home) taken.add(home);
      groups.push({ home, entries: [entry] });
    }
  }
  return groups.map(({ home, entries: of }) => {
    if (home && isSame(home.entries, of)) return home;
    return { id: home?.id ?? (lastId += 1), entries: of, height: home?.height ?? signal(undefined) };
  });
}

/** Draws the chunk of a post, if it is not drawn. @returns whether it was not */
export function drawChunkOf(postId: number, chunks: readonly Chunk[]): boolean {
  const chunk = chunks.find(({ entries }) => entries.some(({ id }) => id === postId));
  if (chunk?.height.peek() === undefined) return false;
  chunk.height.value = undefined;
  return true;
}

function isSame(one: readonly Entry[], other: readonly Entry[]): boolean {
  return one.length === other.length && one.every((entry, at) => entry === other[at]);
}
