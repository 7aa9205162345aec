import { AppError, tooManyRequests } from '../errors.ts';
import { addressKey } from './address-key.ts';
import { Counter } from './counter.ts';
import type { SharedCounts } from './shared-counts.ts';
import { keyedHash, keyedHashKey } from './keyed-hash.ts';

/** Over how long wrong passwords are counted. Seconds. */
const WINDOW = 15 * 60;
/** How long an address counts as one of its user's after the last login from there. Seconds. */
const FAMILIAR = 14 * 86_400;

/** Who is trying a password, on which account, and from where. */
export interface Guess {
  /** The account: the number of its user, or whatever name was given for one that does not exist. */
  account: number | string;
  address: string | undefined;
}

/** Who is trying the password of the account that they are logged in to. */
export interface OwnGuess {
  account: number;
  /** The login session of the token in hand. */
  session: string;
}

/**
 * Bounds how many wrong passwords an account is offered, from however many addresses. An account without a user is counted
 * like any other, so that a refusal does not tell whether it exists.
 *
 * Whoever guesses so often shuts the account for everybody, but not for good, and not for its owner where they have been: an
 * address from which somebody has logged in to the account of late is counted by itself. So is a login session: strangers have
 * none, so their guesses never keep an owner who is logged in from changing the password or deleting the account; and who has
 * stolen a token has the same few guesses with it.
 *
 * In Redis and in memory no address stands, and no e-mail address: there are few enough of them to try all, so what stands
 * for one is made with a key of the service. Names under older keys are found while the keys are known.
 */
export class GuessLimit {
  readonly #counter: Counter | undefined;
  readonly #counts: SharedCounts;
  readonly #onRefused: () => void;
  /** Newest first. */
  readonly #keys: readonly Buffer[];

  /**
   * @param failures wrong passwords per account in a quarter of an hour; undefined: as many as one likes, while familiar
   *   addresses are remembered all the same, since their logins go before a flood's
   * @param secrets of the service, the newest first
   */
  constructor(
    failures: number | undefined,
    counts: SharedCounts,
    secrets: readonly string[],
    onRefused: () => void,
  ) {
    this.#keys = secrets.map((secret) => keyedHashKey(secret, 'tidings: guesses'));
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
   * @param look tries it, told whether somebody has logged in to the account from there lately; throws `invalid_credentials`
   *   if it is wrong
   * @throws {AppError} 429 with `Retry-After`, and whatever `look` throws
   */
  async attempt<T>(guess: Guess | OwnGuess, look: (familiar: boolean) => Promise<T>): Promise<T> {
    const { key, familiar } = await this.#countedUnder(guess);
    const counter = this.#counter;
    if (!counter) return look(familiar);
    const state = await counter.take(key);
    if (state.consumedPoints > counter.limit.points) {
      await state.giveBack();
      this.#onRefused();
      const seconds = Math.max(1, Math.ceil(state.msBeforeNext / 1000));
      throw tooManyRequests(
        `Too many wrong passwords for this account. Try again in ${seconds} seconds.`,
        seconds,
      );
    }
    let wrong = false;
    try {
      return await look(familiar);
    } catch (error) {
      wrong = error instanceof AppError && error.code === 'invalid_credentials';
      throw error;
    } finally {
      if (!wrong) await state.giveBack();
    }
  }

  /** Remembers that somebody has logged in to the account from there. */
  async welcome({ account, address }: Guess): Promise<void> {
    const name = this.#nameOf(account);
    const [place] = this.#placesOf(address);
    if (place === undefined) return;
    await this.#counts.remember(familiarTo(name), place, Date.now() + FAMILIAR * 1000);
  }

  /** Forgets from where somebody has logged in to an account that is gone. */
  async forget(account: number): Promise<void> {
    await this.#counts.forget(familiarTo(this.#nameOf(account)));
  }

  async #countedUnder(guess: Guess | OwnGuess): Promise<{ key: string; familiar: boolean }> {
    const name = this.#nameOf(guess.account);
    if ('session' in guess) return { key: `${name}:s${guess.session}`, familiar: false };
    const places = this.#placesOf(guess.address);
    const familiar = await this.#counts.knows(familiarTo(name), places);
    return { key: familiar ? `${name}:${places[0] ?? ''}` : name, familiar };
  }

  /** What an account is counted under. */
  #nameOf(account: number | string): string {
    if (typeof account === 'number') return `u${account}`;
    const [key] = this.#keys;
    return `n${key ? keyedHash(key, account.toLowerCase()) : ''}`;
  }

  #placesOf(address: string | undefined): string[] {
    return address === undefined ? [] : this.#keys.map((key) => keyedHash(key, addressKey(address)));
  }
}

/** The set of an account's familiar addresses. */
function familiarTo(name: string): string {
  return `familiar:${name}`;
}
