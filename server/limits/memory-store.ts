import { RateLimiterMemory } from 'rate-limiter-flexible';
import { type Count, type LimitStore, MEMBERS } from './store.ts';

/** Members of all sets together; the sets that were added to longest ago are forgotten first. About 200 bytes each. */
const MOST = 50_000;

/** Counts and sets in the memory of one process. */
export class MemoryStore implements LimitStore {
  /** It only counts: the caller knows the limit. */
  readonly #counts = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: 1 });
  /** Points that were taken so far, of all keys. */
  #everTaken = 0;
  /** Set → member → until when. The set that was added to last comes last, and so does the newest member. */
  readonly #sets = new Map<string, Map<string, number>>();
  #members = 0;

  async take(key: string, seconds: number): Promise<Count> {
    this.#everTaken += 1;
    const { consumedPoints, msBeforeNext } = await this.#counts.penalty(key, 1, { customDuration: seconds });
    return { consumedPoints, msBeforeNext };
  }

  async taken(key: string): Promise<number> {
    return (await this.#counts.get(key))?.consumedPoints ?? 0;
  }

  async giveBack(key: string, seconds: number): Promise<void> {
    const count = await this.#counts.get(key);
    if (!count || count.consumedPoints <= 0) return;
    const taken = this.#everTaken;
    const { consumedPoints } = await this.#counts.reward(key, 1, { customDuration: seconds });
    // Who takes a point and gives it back, for one key after the other, is to leave nothing here. Unless a point has been taken
    // meanwhile: it may be of this key.
    if (consumedPoints <= 0 && taken === this.#everTaken) await this.#counts.delete(key);
  }

  /** Shuts the count for a while: it is over any limit until then. Not at all if no time is left. */
  async block(key: string, milliseconds: number): Promise<void> {
    // The library blocks for ever where it is told to for no time.
    if (milliseconds > 0) await this.#counts.block(key, milliseconds / 1000);
  }

  remember(set: string, member: string, until: number): Promise<void> {
    const members = this.#sets.get(set) ?? new Map<string, number>();
    this.#members -= members.size;
    this.#sets.delete(set);
    members.delete(member);
    members.set(member, until);
    const [oldest] = members.keys();
    if (members.size > MEMBERS && oldest !== undefined) members.delete(oldest);
    this.#sets.set(set, members);
    this.#members += members.size;
    for (const [name, { size }] of this.#sets) {
      if (this.#members <= MOST) break;
      this.#sets.delete(name);
      this.#members -= size;
    }
    return Promise.resolve();
  }

  knows(set: string, members: readonly string[]): Promise<boolean> {
    const now = Date.now();
    return Promise.resolve(members.some((member) => (this.#sets.get(set)?.get(member) ?? 0) > now));
  }

  forget(set: string): Promise<void> {
    this.#members -= this.#sets.get(set)?.size ?? 0;
    this.#sets.delete(set);
    return Promise.resolve();
  }
}
