import type { Users } from '../users.ts';
import { TidingsError } from '../tidings-error.ts';

/** Users that are remembered at most: more than anybody may follow. */
const KEPT = 10_000;

/**
 * Whom the user follows, as far as a home timeline has to know: a shared feed also brings posts of its other topics, and
 * no event says which topic it came for. Users of whom nothing is known are looked up.
 */
export class Followees {
  readonly #users: Users;
  /** A newer word about a user comes last. */
  readonly #known = new Map<number, boolean>();
  /** The look-ups that are in progress, each by what tells it from a later one of the same user. */
  readonly #asked = new Map<number, object>();

  constructor(users: Users) {
    this.#users = users;
  }

  /** @returns undefined if it is not known */
  follows(userId: number): boolean | undefined {
    return this.#known.get(userId);
  }

  set(userId: number, followed: boolean): void {
    this.#asked.delete(userId);
    this.#known.delete(userId);
    this.#known.set(userId, followed);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
  }

  /**
   * Looks a user up. If an event tells of the user meanwhile, that counts.
   * @returns whether something became known by it: not if the user is being looked up already
   * @throws {TidingsError}
   */
  async lookUp(userId: number): Promise<boolean> {
    if (this.#asked.has(userId)) return false;
    const request = {};
    this.#asked.set(userId, request);
    let followed = false;
    try {
      ({ followed = false } = await this.#users.get(userId));
    } catch (error) {
      const gone = error instanceof TidingsError && error.code === 'not_found';
      if (!gone) {
        if (this.#asked.get(userId) === request) this.#asked.delete(userId);
        throw error;
      }
    }
    if (this.#asked.get(userId) !== request) return false;
    this.set(userId, followed);
    return true;
  }

  clear(): void {
    this.#known.clear();
    this.#asked.clear();
  }
}
