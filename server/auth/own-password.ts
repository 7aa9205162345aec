import type { LOCK, Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import type { Database } from '../database/connection.ts';
import { AppError, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { GuessLimit } from '../limits/guess-limit.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { Passwords } from './passwords.ts';

/** The hash that was proved is no longer the user's. */
class HashChanged extends Error {
  override readonly name = 'HashChanged';
}

export interface OwnPasswordOptions {
  db: Database;
  guesses: GuessLimit;
  passwords: Passwords;
}

/**
 * What users do with their own accounts that needs the password again. Wrong ones are counted by session: anyone who has
 * somebody's token may not guess the password with it either.
 */
export class OwnPassword {
  readonly #options: OwnPasswordOptions;

  constructor(options: OwnPasswordOptions) {
    this.#options = options;
  }

  /**
   * Does something, given the hash that the password fits. Once more if that has changed meanwhile: a login renews a hash of
   * another cost, and the password stays.
   * @param work locks the user with `lock`, and the hash
   * @throws {AppError} 403 for a wrong password, 429 after too many
   */
  async prove<T>(
    viewer: Identity,
    password: string,
    requester: Requester,
    work: (proof: string) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const proof = await this.#hashOf(viewer, password, requester);
      try {
        return await work(proof);
      } catch (error) {
        if (!(error instanceof HashChanged)) throw error;
        if (attempt === 2)
          throw new AppError('invalid_credentials', 'The password has been changed meanwhile.');
      }
    }
  }

  /**
   * The user's row, locked. Its hash must still be the one that was proved: another request may have changed it since.
   * @param proof undefined where no password is asked for
   * @throws {AppError} 401 if the account has just been deleted
   */
  async lock(tx: Transaction, viewer: Identity, proof: string | undefined, lock: LOCK): Promise<User> {
    const user = await User.findByPk(viewer.id, { transaction: tx, lock });
    if (!user || user.deletedAt) throw userIsGone();
    if (proof !== undefined && user.passwordHash !== proof) throw new HashChanged();
    return user;
  }

  /** Outside a transaction: it takes a quarter of a second. */
  async #hashOf(viewer: Identity, password: string, requester: Requester): Promise<string> {
    const { db, guesses, passwords } = this.#options;
    const user = await db.share(requester).run(() => User.findByPk(viewer.id));
    return guesses.attempt({ account: viewer.id, session: viewer.sessionId }, async () => {
      if (!(await passwords.matches(password, user?.passwordHash, requester)) || !user)
        throw new AppError('invalid_credentials', 'The password is wrong.');
      return user.passwordHash;
    });
  }
}
