import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import { tooManyRequests } from '../errors.ts';
import { type Requester, FairQueue, withFamiliarity } from '../queues/fair-queue.ts';
import { passwordForm, passwordForms } from '../text/password-form.ts';
import { type Standing, hashThreads } from './hash-threads.ts';
import { RecentPasswords } from './recent-passwords.ts';

/**
 * How many hashes run at once, and how many more for known senders (reserved places). Each fills a core: on two of them,
 * two at once leave readers little for as long as a storm of logins lasts.
 */
const CONCURRENCY = availableParallelism() >= 4 ? 2 : 1;
const RESERVED = 1;
/**
 * The maximum number of waiting hashes, in all and per sender. At cost 12 a hash takes 250 ms: the last one would wait
 * too long.
 */
const MAX_WAITING = 60 * CONCURRENCY;
const MAX_WAITING_OF_ONE = 20 * CONCURRENCY;
/** The maximum number of running and waiting hashes of one sender, except those in reserved places. */
export const PLACES_OF_ONE = CONCURRENCY + MAX_WAITING_OF_ONE;
/** bcrypt reads only this much of a password: two longer ones with the same beginning would be equal. */
export const MAX_BYTES = 72;

/** The service's own hashes (renewals), which wait for all others. */
const RENEWALS: Requester = { senders: ['renewals'] };

/**
 * Hashes and compares passwords, a few at a time, so that a hundred logins at once do not block the rest of the
 * service, in a fair queue, so that they do not block the logins of others. Each hash is one turn, also of a request
 * that needs several. A password that was correct before in this process takes precedence over unknown ones. bcrypt
 * reads 72 bytes and stops at NUL: validation refuses both.
 */
export class Passwords {
  readonly #cost: number;
  /** Compared against when there is no such user, so that the answer takes as long. */
  readonly #dummy: string;
  readonly #queue: FairQueue;
  readonly #recent = new RecentPasswords();

  private constructor(cost: number, dummy: string, onRefused: () => void) {
    this.#cost = cost;
    this.#dummy = dummy;
    this.#queue = new FairQueue({
      atOnce: CONCURRENCY,
      reserved: RESERVED,
      most: MAX_WAITING,
      mostOf: MAX_WAITING_OF_ONE,
      refusal: () => {
        onRefused();
        return tooManyRequests('Too many logins at once. Try again in a few seconds.', 5);
      },
    });
  }

  /**
   * @param onRefused called for each hash that is refused because too many wait
   */
  static async create(cost: number, onRefused: () => void): Promise<Passwords> {
    return new Passwords(
      cost,
      await hashThreads.hash('no password hashes to this one', cost, 'known'),
      onRefused,
    );
  }

  /** Hashes that are waiting. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  /** @throws {AppError} 429 if too many wait */
  async hash(password: string, requester: Requester): Promise<string> {
    const form = passwordForm(password);
    const hash = await this.#queue.run(requester, () =>
      hashThreads.hash(form, this.#cost, standingOf(requester)),
    );
    this.#recent.remember(hash, form);
    return hash;
  }

  /**
   * A new hash for a password whose hash has another cost or another Unicode form; undefined if there is nothing to do,
   * or logins are waiting: then a later login renews it.
   */
  async renewed(password: string, hash: string): Promise<string | undefined> {
    if (this.waiting > 0) return undefined;
    const isOfToday =
      bcrypt.getRounds(hash) === this.#cost &&
      (passwordForms(password).length === 1 || (await this.#fits(passwordForm(password), hash, RENEWALS)));
    return isOfToday ? undefined : this.hash(password, RENEWALS);
  }

  /**
   * Whether the password matches the hash, in its normalized form or in one that was used before. Without a hash (no
   * such user) it takes the same time and returns false, and so it does for a password longer than bcrypt reads, which
   * could match only by its beginning.
   * @param requester who says whether it is familiar, as a login does, goes first also with a password that was right
   *   before; of one that changes its password, and so has the right one each time, this would make a flood
   * @throws {AppError} 429 if too many wait
   */
  async matches(password: string, hash: string | undefined, requester: Requester): Promise<boolean> {
    const { familiar } = requester;
    for (const form of passwordForms(password)) {
      const recognized = familiar !== undefined && hash !== undefined && this.#recent.recognizes(hash, form);
      const first = withFamiliarity(requester, familiar === true || recognized);
      const fits = await this.#fits(form, hash ?? this.#dummy, first);
      if (!fits || hash === undefined) continue;
      this.#recent.remember(hash, form);
      return true;
    }
    return false;
  }

  async #fits(form: string, hash: string, requester: Requester): Promise<boolean> {
    const fits = await this.#queue.run(requester, () =>
      hashThreads.compare(form, hash, standingOf(requester)),
    );
    return fits && Buffer.byteLength(form) <= MAX_BYTES;
  }
}

function standingOf({ familiar }: Requester): Standing {
  return familiar ? 'known' : 'unknown';
}
