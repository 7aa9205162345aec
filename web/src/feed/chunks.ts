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

/** Posts in a chunk at most: one is drawn in a piece. */
const MOST = 5;
/** How high a post is taken to be that is still to be drawn. CSS pixels. */
const HEIGHT = 170;

let lastId = 0;

/** Heights that were taken to be so: their chunks are drawn as soon as there is time for it. */
const estimates = new WeakSet<Chunk['height']>();

/** Whether a chunk is not drawn since it is its turn later, and not since it is far from the screen. */
export function isToBeDrawn({ height }: Chunk): boolean {
  return height.peek() !== undefined && estimates.has(height);
}

export function draw({ height }: Chunk): void {
  estimates.delete(height);
  height.value = undefined;
}

/**
 * The chunks of a list that the reader has just come to, at its beginning, are drawn one after the other, once the place
 * itself has been drawn: the click that led there is answered first.
 */
export function drawInTurn(chunks: readonly Chunk[]): void {
  for (const chunk of chunks) if (chunk.height.peek() === undefined) drawLater(chunk);
}

function drawLater({ height, entries }: Pick<Chunk, 'height' | 'entries'>): void {
  height.value = entries.length * HEIGHT;
  estimates.add(height);
}

/**
 * Splits a list into chunks. The first one is drawn with the list, and every other new one in a frame of its own: a list of a
 * hundred posts that has just come does not keep the reader's next click waiting. What has not changed since `before` is
 * the same object, and a post stays in its chunk.
 * @param whole all of them are drawn with the list: for a reader who is put back to a place in it
 */
export function chunksOf(
  entries: readonly Entry[],
  before: readonly Chunk[],
  { whole }: { whole: boolean },
): readonly Chunk[] {
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
  return groups.map(({ home, entries: of }, at) => {
    if (home && isSame(home.entries, of)) return home;
    const height: Chunk['height'] = home?.height ?? signal(undefined);
    if (!home && !whole && at > 0) drawLater({ height, entries: of });
    return { id: home?.id ?? (lastId += 1), entries: of, height };
  });
}

/** Draws the chunk of a post, if it is not drawn. @returns whether it was not */
export function drawChunkOf(postId: number, chunks: readonly Chunk[]): boolean {
  const chunk = chunks.find(({ entries }) => entries.some(({ id }) => id === postId));
  if (chunk?.height.peek() === undefined) return false;
  draw(chunk);
  return true;
}

function isSame(one: readonly Entry[], other: readonly Entry[]): boolean {
  return one.length === other.length && one.every((entry, at) => entry === other[at]);
}
