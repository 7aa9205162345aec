import { AppError, tooManyRequests } from '../errors.ts';
import { inWords } from '../text/time-span.ts';
import { addressKey } from './address-key.ts';
import { Counter } from './counter.ts';
import type { SharedCounts } from './shared-counts.ts';
import { keyedHash, keyedHashKey } from './keyed-hash.ts';

/** Over how long wrong passwords are counted. Seconds. */
const WINDOW = 15 * 60;
/** Wrong codes of a second factor per account and password, and over how long they are counted. Seconds. */
const CODES = { points: 10, duration: 86_400 };
/** How long an address counts as one of its user's after the last login from there. Seconds. */
const FAMILIAR = 14 * 86_400;

/** A login attempt: the account, and the address. */
export interface Guess {
  /** The account: the id of its user, or the given name if it does not exist. */
  account: number | string;
  address: string | undefined;
}

/** A password check by a user who is logged in. */
export interface OwnGuess {
  account: number;
  /** The login session of the token. */
  session: string;
}

/**
 * Limits wrong passwords per account, from any number of addresses. An account that does not exist is counted like any
 * other, so that a refusal does not reveal whether it exists.
 *
 * Too many guesses block logins to the account for a while, but not from known addresses: an address with a recent
 * login to the account is counted separately. So is a login session: an attacker has none, so guesses never keep an
 * owner who is logged in from changing the password or deleting the account; and with a stolen token there are only the
 * same few guesses.
 *
 * Addresses and e-mail addresses are stored only as keyed hashes, in Redis and in memory, since a plain hash could be
 * reversed by trying all. Hashes with older keys are found while the keys are configured.
 */
export class GuessLimit {
  readonly #passwords: Counter | undefined;
  readonly #codes: Counter | undefined;
  readonly #counts: SharedCounts;
  readonly #onRefused: (what: 'guess' | 'code') => void;
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
    onRefused: (what: 'guess' | 'code') => void,
  ) {
    this.#keys = secrets.map((secret) => keyedHashKey(secret, 'tidings: guesses'));
    this.#counts = counts;
    this.#onRefused = onRefused;
    if (failures === undefined) return;
    const refundable = { refundable: true };
    this.#passwords = new Counter('guess', { points: failures, duration: WINDOW }, counts, refundable);
    this.#codes = new Counter('code', CODES, counts, refundable);
  }

  /**
   * Counts and checks a password. It is counted before it is known to be wrong (otherwise a thousand at once would
   * pass), and refunded if it was correct or was not checked.
   * @param look tries it, told whether somebody has logged in to the account from there lately; throws `invalid_credentials`
   *   or `otp_invalid` if it is wrong
   * @throws {AppError} 429 with `Retry-After`, and whatever `look` throws
   */
  async attempt<T>(guess: Guess | OwnGuess, look: (familiar: boolean) => Promise<T>): Promise<T> {
    const { key, familiar } = await this.#countedUnder(guess);
    return this.#count('guess', key, () => look(familiar), {
      refusal: (seconds) => `Too many wrong passwords for this account. Try again in ${inWords(seconds)}.`,
    });
  }

  /**
   * Counts and checks a code of a second factor, after the right password. It has a million values, so wrong ones are fewer
   * in a longer time than passwords. They are counted as passwords are, and for each password on its own: who has chosen a
   * new one, because somebody else knows the old one, is not kept out by what they tried.
   * @param passwordHash of the account
   * @param look tries it; throws `otp_invalid` if it is wrong
   * @param onLast after the last wrong one that is looked at
   * @throws {AppError} 429 with `Retry-After`, and whatever `look` throws
   */
  async attemptCode<T>(
    guess: Guess,
    passwordHash: string,
    look: () => Promise<T>,
    onLast: () => Promise<void>,
  ): Promise<T> {
    const { key } = await this.#countedUnder(guess);
    const [secret = Buffer.alloc(0)] = this.#keys;
    return this.#count('code', `${key}:p${keyedHash(secret, passwordHash)}`, look, {
      refusal: (seconds) =>
        `Too many wrong codes for this account. Use a recovery code, choose a new password, or try again in ${inWords(seconds)}.`,
      onLast,
    });
  }

  async #count<T>(
    what: 'guess' | 'code',
    key: string,
    look: () => Promise<T>,
    { refusal, onLast }: { refusal: (seconds: number) => string; onLast?: () => Promise<void> },
  ): Promise<T> {
    const counter = what === 'guess' ? this.#passwords : this.#codes;
    if (!counter) return look();
    const state = await counter.take(key);
    if (state.consumedPoints > counter.limit.points) {
      await state.giveBack();
      this.#onRefused(what);
      const seconds = Math.max(1, Math.ceil(state.msBeforeNext / 1000));
      throw tooManyRequests(refusal(seconds), seconds);
    }
    let wrong = false;
    try {
      return await look();
    } catch (error) {
      wrong =
        error instanceof AppError && (error.code === 'invalid_credentials' || error.code === 'otp_invalid');
      if (wrong && state.consumedPoints === counter.limit.points) await onLast?.();
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
