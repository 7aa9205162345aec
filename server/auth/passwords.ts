import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import { tooManyRequests } from '../errors.ts';
import { type Requester, FairQueue, withFamiliarity } from '../queues/fair-queue.ts';
import { passwordForm, passwordForms } from '../text/password-form.ts';
import { RecentPasswords } from './recent-passwords.ts';

/**
 * How many hashes run at once, and how many more for requesters that no flood consists of. bcrypt fills libuv's threads, of
 * which there are four: files, DNS and zlib need some. And each fills a core: on two of them, two at once leave readers none
 * for as long as a storm of logins lasts.
 */
const CONCURRENCY = availableParallelism() >= 4 ? 2 : 1;
const RESERVED = 1;
/**
 * How many wait at most, in all and of one sender. At cost 12 a hash takes a quarter of a second: the last would wait for too
 * long.
 */
const MAX_WAITING = 60 * CONCURRENCY;
const MAX_WAITING_OF_ONE = 20 * CONCURRENCY;
/** Hashes that one sender takes or waits for at most, but for those in reserved places. */
export const PLACES_OF_ONE = CONCURRENCY + MAX_WAITING_OF_ONE;
/** What bcrypt reads of a password: two longer ones with the same beginning would be one. */
export const MAX_BYTES = 72;

/** The service's own work on hashes, which waits for everybody else's. */
const RENEWALS: Requester = { senders: ['renewals'] };

/**
 * Hashes and compares passwords, a few at a time, so that a hundred logins at once do not stop the rest of the service, and in
 * turns, so that they do not stop the logins of others. Each hash is a turn, also of a request that needs several. A password that
 * was right before in this process goes before those of which nothing is known.
 * bcrypt sees 72 bytes and stops at NUL: validation refuses both.
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

  /** @param onRefused called for each that is refused since too many wait */
  static async create(cost: number, onRefused: () => void): Promise<Passwords> {
    return new Passwords(cost, await bcrypt.hash('no password hashes to this one', cost), onRefused);
  }

  /** Hashes that are waited for. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  /** @throws {AppError} 429 if too many wait */
  async hash(password: string, requester: Requester): Promise<string> {
    const form = passwordForm(password);
    const hash = await this.#queue.run(requester, () => bcrypt.hash(form, this.#cost));
    this.#recent.remember(hash, form);
    return hash;
  }

  /**
   * The hash of a password that fits one of another cost or of another Unicode form, as it would be made now; undefined if there
   * is nothing to do, or logins are waiting: a later one will do.
   */
  async renewed(password: string, hash: string): Promise<string | undefined> {
    if (this.waiting > 0) return undefined;
    const isOfToday =
      bcrypt.getRounds(hash) === this.#cost &&
      (passwordForms(password).length === 1 || (await this.#fits(passwordForm(password), hash, RENEWALS)));
    return isOfToday ? undefined : this.hash(password, RENEWALS);
  }

  /**
   * Whether the password fits, in the form of today or in one in which it was hashed before. Without a hash (no such user) it
   * takes the same time and says no. So it does for one that is longer than bcrypt reads: it could only fit by its beginning.
   * @param requester who says whether it is familiar, as a login does, goes first also with a password that was right before; of one
   *   that changes its password, and so has the right one each time, this would make a flood
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
    const fits = await this.#queue.run(requester, () => bcrypt.compare(form, hash));
    return fits && Buffer.byteLength(form) <= MAX_BYTES;
  }
}
