import type { SeenTallies } from './shared-stream.ts';

/** The highest `rev` that one client was told of each post. */
export class TallyHistory {
  #revs: Uint32Array;

  /** @param posts how many are expected; more are taken in */
  constructor(posts: number) {
    this.#revs = new Uint32Array(posts);
  }

  take({ slots, revs }: SeenTallies): void {
    for (let at = 0; at < slots.length; at += 1) {
      const slot = slots[at] ?? 0;
      if (slot >= this.#revs.length) {
        const grown = new Uint32Array(Math.max(slot + 1, this.#revs.length * 2));
        grown.set(this.#revs);
        this.#revs = grown;
      }
      this.#revs[slot] = Math.max(this.#revs[slot] ?? 0, revs[at] ?? 0);
    }
  }

  /** How many of these posts the client holds an older tally of than the database. @param final slot and rev of each */
  stale(final: readonly { slot: number; rev: number }[]): number {
    let stale = 0;
    for (const { slot, rev } of final) if ((this.#revs[slot] ?? 0) < rev) stale += 1;
    return stale;
  }
}
