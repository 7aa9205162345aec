import { MemoryStore } from './memory-store.ts';
import type { Count, LimitStore } from './store.ts';

/** A point that was taken. */
export interface Taken extends Count {
  /** Gives it back wherever it was counted. Once. */
  giveBack(): Promise<void>;
}

/**
 * What processes count and remember together: in the primary process for the workers of one machine, in Redis for all nodes,
 * and in the memory of the process itself. All of them count all the time, so each knows how a count stands when the wider one
 * does not answer; the highest count is the one that holds. Points that are taken at once may be counted in another order by
 * each, so near a limit one may be refused that would have fit; never is one too many let in.
 */
export class SharedCounts {
  readonly #own = new MemoryStore();
  readonly #shared: readonly LimitStore[];

  constructor(shared: readonly LimitStore[]) {
    this.#shared = shared;
  }

  /** @param blockAfter points after which the count is over and nothing is given back: then the memory of the process alone refuses, and a flood costs nobody else anything */
  async take(key: string, seconds: number, blockAfter = Infinity): Promise<Taken> {
    const taken = Date.now();
    const own = await this.#own.take(key, seconds);
    if (own.consumedPoints > blockAfter) return { ...own, giveBack: () => Promise.resolve() };
    const all = await Promise.all(this.#shared.map((store) => store.take(key, seconds)));
    const worst = all.reduce<Count>(
      (most, count) => (count && count.consumedPoints >= most.consumedPoints ? count : most),
      own,
    );
    if (worst.consumedPoints > blockAfter) await this.#own.block(key, worst.msBeforeNext);
    return {
      ...worst,
      giveBack: async () => {
        // A point of a window that is over would be one too many in the next.
        await Promise.all(
          [own, ...all].map(async (count, at) => {
            const store = at === 0 ? this.#own : this.#shared[at - 1];
            if (count && Date.now() < taken + count.msBeforeNext) await store?.giveBack(key, seconds);
          }),
        );
      },
    };
  }

  /** How many points are taken: the highest count of all places. */
  async taken(key: string): Promise<number> {
    const counts = await Promise.all([this.#own, ...this.#shared].map((store) => store.taken(key)));
    return Math.max(...counts.map((count) => count ?? 0));
  }

  async remember(set: string, member: string, until: number): Promise<void> {
    await Promise.all([this.#own, ...this.#shared].map((store) => store.remember(set, member, until)));
  }

  async knows(set: string, members: readonly string[]): Promise<boolean> {
    if (members.length === 0) return false;
    if (await this.#own.knows(set, members)) return true;
    const known = await Promise.all(this.#shared.map((store) => store.knows(set, members)));
    return known.includes(true);
  }

  async forget(set: string): Promise<void> {
    await Promise.all([this.#own, ...this.#shared].map((store) => store.forget(set)));
  }
}
