import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import { AppError } from '../errors.ts';
import { passwordForm, passwordForms } from '../text/password-form.ts';

/**
 * How many hashes run at once. bcrypt fills libuv's threads, of which there are four: files, DNS and zlib need some. And
 * each fills a core: on two of them, two at once leave readers none for as long as a storm of logins lasts.
 */
const CONCURRENCY = availableParallelism() >= 4 ? 2 : 1;
/** How many wait at most. At cost 12 a hash takes a quarter of a second: who comes later would wait for too long. */
const MAX_WAITING = 30 * CONCURRENCY;
/** How many hashes are taken or waited for at most. */
export const PLACES = CONCURRENCY + MAX_WAITING;
/** What bcrypt reads of a password: two longer ones with the same beginning would be one. */
export const MAX_BYTES = 72;

/**
 * Hashes and compares passwords, a few at a time, so that a hundred logins at once do not stop the rest of the service.
 * bcrypt sees 72 bytes and stops at NUL: validation refuses both.
 */
export class Passwords {
  readonly #cost: number;
  /** Compared against when there is no such user, so that the answer takes as long. */
  readonly #dummy: string;
  readonly #onRefused: () => void;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  private constructor(cost: number, dummy: string, onRefused: () => void) {
    this.#cost = cost;
    this.#dummy = dummy;
    this.#onRefused = onRefused;
  }

  /** @param onRefused called for each that came when too many were waiting */
  static async create(cost: number, onRefused: () => void): Promise<Passwords> {
    return new Passwords(cost, await bcrypt.hash('no password hashes to this one', cost), onRefused);
  }

  hash(password: string): Promise<string> {
    return this.#turn(() => bcrypt.hash(passwordForm(password), this.#cost));
  }

  /**
   * The hash of a password that fits one of another cost or of another Unicode form, as it would be made now; undefined if there
   * is nothing to do, or logins are waiting: a later one will do.
   */
  async renewed(password: string, hash: string): Promise<string | undefined> {
    if (this.#waiting.length > 0) return undefined;
    const isOfToday =
      bcrypt.getRounds(hash) === this.#cost &&
      (passwordForms(password).length === 1 || (await this.#fits(passwordForm(password), hash)));
    return isOfToday ? undefined : this.hash(password);
  }

  /**
   * Whether the password fits, in the form of today or in one in which it was hashed before. Without a hash (no such user) it
   * takes the same time and says no. So it does for one that is longer than bcrypt reads: it could only fit by its beginning.
   */
  async matches(password: string, hash: string | undefined): Promise<boolean> {
    for (const form of passwordForms(password)) {
      const fits = await this.#fits(form, hash ?? this.#dummy);
      if (fits && hash !== undefined) return true;
    }
    return false;
  }

  async #fits(form: string, hash: string): Promise<boolean> {
    return (await this.#turn(() => bcrypt.compare(form, hash))) && Buffer.byteLength(form) <= MAX_BYTES;
  }

  async #turn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= CONCURRENCY) {
      if (this.#waiting.length >= MAX_WAITING) {
        this.#onRefused();
        throw new AppError('too_many_requests', 'Too many logins at once. Try again in a few seconds.', {
          headers: { 'Retry-After': '5' },
        });
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      return await work();
    } finally {
      // The place is handed on, not freed: a newcomer must not slip in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
