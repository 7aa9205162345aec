import { type LOCK, QueryTypes, type Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import type { Database } from '../database/connection.ts';
import { AppError, invalid, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { GuessLimit } from '../limits/guess-limit.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { hasPassword } from './owner.ts';
import type { Passwords } from './passwords.ts';
import { isLive } from './present.ts';
import { requireLiveSession } from './session-check.ts';

/** How long after a login the owner of an account without a password may do what needs one. Minutes. */
const RECENT = 10;

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
 * What users do with their own accounts that needs the password again; of an account that has none a login in the last ten
 * minutes, since a token that is renewed does not make a login younger. Wrong passwords are counted by session: anyone who has
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
   * @param field what the password is called in the body
   * @throws {AppError} 401 if the account is gone, 403 for a wrong password or a login that is too old, 422 without a password that
   *   is needed, 429 after too many wrong ones
   */
  async prove<T>(
    viewer: Identity,
    password: string | undefined,
    requester: Requester,
    work: (proof: string) => Promise<T>,
    field = 'password',
  ): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const proof = await this.#hashOf(viewer, password, requester, field);
      try {
        return await work(proof);
      } catch (error) {
        if (!(error instanceof HashChanged)) throw error;
        if (attempt === 2)
          throw new AppError('invalid_credentials', 'The password has been changed meanwhile.');
      }
    }
  }

  /** Does something in one transaction with the user's row, locked, that needs the password. @throws {AppError} as `prove` and `lock` do */
  change<T>(
    viewer: Identity,
    password: string | undefined,
    requester: Requester,
    work: (tx: Transaction, user: User) => Promise<T>,
  ): Promise<T> {
    return this.prove(viewer, password, requester, (proof) =>
      this.#options.db
        .share(requester)
        .transaction(async (tx) => work(tx, await this.lock(tx, viewer, proof, tx.LOCK.NO_KEY_UPDATE))),
    );
  }

  /**
   * The user's row, locked. Its hash must still be the one that was proved, and the session must live: both may have changed
   * since the request came, of which a body may take its time and a password does.
   * @param proof undefined where no password is asked for
   * @throws {AppError} 401 if the account has just been deleted, or the session has ended
   */
  async lock(tx: Transaction, viewer: Identity, proof: string | undefined, lock: LOCK): Promise<User> {
    const user = await User.findByPk(viewer.id, { transaction: tx, lock });
    if (!user || user.deletedAt) throw userIsGone();
    if (proof !== undefined && user.passwordHash !== proof) throw new HashChanged();
    await requireLiveSession(tx, viewer);
    return user;
  }

  /** Outside a transaction: it takes a quarter of a second. */
  async #hashOf(
    viewer: Identity,
    password: string | undefined,
    requester: Requester,
    field: string,
  ): Promise<string> {
    const { db, guesses, passwords } = this.#options;
    const user = await db.share(requester).run(() => User.findByPk(viewer.id));
    if (!user || user.deletedAt) throw userIsGone();
    if (!hasPassword(user)) {
      const recent = await db.share(requester).query(
        `select 1 from sessions s where s.id = $1 and s.user_id = $2 and ${isLive}
             and s.created_at > now() - $3 * interval '1 minute'`,
        { type: QueryTypes.SELECT, bind: [viewer.sessionId, viewer.id, RECENT] },
      );
      if (recent.length > 0) return user.passwordHash;
      throw new AppError(
        'login_again',
        'Your account has no password. Log in again, and do this within ten minutes.',
      );
    }
    if (password === undefined)
      throw invalid([{ loc: ['body', field], msg: `"${field}" is required`, type: 'any.required' }], 1);
    return guesses.attempt({ account: viewer.id, session: viewer.sessionId }, async () => {
      if (!(await passwords.matches(password, user.passwordHash, requester)))
        throw new AppError('invalid_credentials', 'The password is wrong.');
      return user.passwordHash;
    });
  }
}
