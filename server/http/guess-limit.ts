import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import { addressKey } from './address-key.ts';
import { Counter, type SharedCounts } from './counter.ts';

/** Over how long wrong passwords are counted. Seconds. */
const WINDOW = 15 * 60;
/** How long an address counts as one of its user's after the last login from there. Seconds. */
const FAMILIAR = 14 * 86_400;
/** Familiar addresses that a node remembers by itself; the oldest are forgotten. About 200 bytes each. */
const REMEMBERED = 50_000;

/** Who is trying a password, on which account, and from where. */
export interface Guess {
  /** The account: the number of its user, or whatever name was given for one that does not exist. */
  account: number | string;
  address: string | undefined;
}

/**
 * Bounds how many wrong passwords an account is offered, from however many addresses. An account without a user is counted
 * like any other, so that a refusal does not tell whether it exists.
 *
 * Whoever guesses so often shuts the account for everybody, but not for good, and not for its owner where they have been: an
 * address from which somebody has logged in to the account of late is counted by itself.
 */
export class GuessLimit {
  readonly #counter: Counter | undefined;
  readonly #counts: SharedCounts;
  readonly #onRefused: () => void;
  /** Familiar address → until when, in milliseconds since 1970; the oldest first. */
  readonly #familiar = new Map<string, number>();

  /** @param failures wrong passwords per account in a quarter of an hour; undefined: as many as one likes */
  constructor(failures: number | undefined, counts: SharedCounts, onRefused: () => void) {
    this.#counts = counts;
    this.#onRefused = onRefused;
    this.#counter =
      failures === undefined
        ? undefined
        : new Counter('guess', { points: failures, duration: WINDOW }, counts, { refundable: true });
  }

  /**
   * Lets a password be tried. It is counted before it is known to be wrong, or a thousand at once would all be let in, and given
   * back if it was right or was not looked at.
   * @param look tries it; throws `invalid_credentials` if it is wrong
   * @throws {AppError} 429 with `Retry-After`, and whatever `look` throws
   */
  async attempt<T>({ account, address }: Guess, look: () => Promise<T>): Promise<T> {
    const counter = this.#counter;
    if (!counter) return look();
    const here = nameOf(account, address);
    const key = (await this.#isFamiliar(here)) ? here : nameOf(account);
    const state = await counter.take(key);
    if (state.consumedPoints > counter.limit.points) {
      await counter.giveBack(key);
      this.#onRefused();
      const seconds = Math.max(1, Math.ceil(state.msBeforeNext / 1000));
      throw new AppError(
        'too_many_requests',
        `Too many wrong passwords for this account. Try again in ${seconds} seconds.`,
        { headers: { 'Retry-After': String(seconds) } },
      );
    }
    let wrong = false;
    try {
      return await look();
    } catch (error) {
      wrong = error instanceof AppError && error.code === 'invalid_credentials';
      throw error;
    } finally {
      if (!wrong) await counter.giveBack(key);
    }
  }

  /** Remembers that somebody has logged in to the account from there. */
  async welcome({ account, address }: Guess): Promise<void> {
    if (!this.#counter) return;
    const here = nameOf(account, address);
    await this.#counts.ask((redis) => redis.set(`tidings:familiar:${here}`, '1', 'EX', FAMILIAR));
    this.#familiar.delete(here);
    this.#familiar.set(here, Date.now() + FAMILIAR * 1000);
    const [oldest] = this.#familiar.keys();
    if (this.#familiar.size > REMEMBERED && oldest !== undefined) this.#familiar.delete(oldest);
  }

  async #isFamiliar(here: string): Promise<boolean> {
    if ((this.#familiar.get(here) ?? 0) > Date.now()) return true;
    return (await this.#counts.ask((redis) => redis.exists(`tidings:familiar:${here}`))) === 1;
  }
}

/** What an account is counted under, at an address or anywhere. No e-mail address stands in Redis. */
function nameOf(account: number | string, address?: string): string {
  const name = typeof account === 'number' ? `u${account}` : `n${hash(account.toLowerCase())}`;
  return address === undefined ? name : `${name}:${hash(addressKey(address))}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
