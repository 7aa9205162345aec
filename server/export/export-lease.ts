import { randomUUID } from 'node:crypto';
import { QueryTypes } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { tooManyRequests, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';

/** How long an account is left to an export that does not renew its lease. Longer than two parts may stay unread. Milliseconds. */
const LEASE = 120_000;
/** How often it is renewed. Milliseconds. */
const RENEWAL = 10_000;
/** `Retry-After` while another export is made: how long that takes depends on its client. Seconds. */
const PAUSE = 30;

/** SQL: the lease is still held, and the account and the session live. */
const mayGoOn = `user_id = $1 and holder = $2 and exists (
  select from users u join sessions s on s.user_id = u.id
  where u.id = $1 and u.deleted_at is null and s.id = $3 and s.revoked_at is null and s.expires_at > now())`;

/** The account is deleted, its session has ended, or another export has taken the lease over. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** The right to export an account, which one export has at a time, on whichever node. If a node fails, it passes by itself. */
export class ExportLease {
  readonly #db: DatabaseShare;
  readonly #user: Identity;
  readonly #holder: string;
  #renewedAt = performance.now();
  #held = true;

  private constructor(db: DatabaseShare, user: Identity, holder: string) {
    this.#db = db;
    this.#user = user;
    this.#holder = holder;
  }

  /** @throws {AppError} 429 while the account is being exported, 401 if it has just been deleted */
  static async take(db: DatabaseShare, user: Identity): Promise<ExportLease> {
    const holder = randomUUID();
    const taken = await db.query(
      `insert into account_exports as e (user_id, holder, expires_at)
       select u.id, $2, now() + $3 * interval '1 millisecond' from users u where u.id = $1 and u.deleted_at is null
       on conflict (user_id) do update set holder = excluded.holder, expires_at = excluded.expires_at
       where e.expires_at <= now()
       returning 1`,
      { type: QueryTypes.SELECT, bind: [user.id, holder, LEASE] },
    );
    if (taken.length > 0) return new ExportLease(db, user, holder);
    const alive = await db.query('select 1 from users where id = $1 and deleted_at is null', {
      type: QueryTypes.SELECT,
      bind: [user.id],
    });
    if (alive.length === 0) throw userIsGone();
    throw tooManyRequests(
      'Your account is being exported already. Try again when that download has ended.',
      PAUSE,
    );
  }

  /** Renews it from time to time. @throws {LeaseLost} also if the account is deleted or the session has ended */
  async keep(): Promise<void> {
    if (performance.now() - this.#renewedAt < RENEWAL) return;
    await this.#change(
      `update account_exports set expires_at = now() + $4 * interval '1 millisecond' where ${mayGoOn} returning 1`,
      LEASE,
    );
    this.#renewedAt = performance.now();
  }

  /** Gives it back after the last read. @throws {LeaseLost} as `keep` */
  async finish(): Promise<void> {
    await this.#change(`delete from account_exports where ${mayGoOn} returning 1`);
    this.#held = false;
  }

  /** Gives it back, unless that is done. */
  async release(): Promise<void> {
    if (!this.#held) return;
    await this.#db.query('delete from account_exports where user_id = $1 and holder = $2', {
      type: QueryTypes.RAW,
      bind: [this.#user.id, this.#holder],
    });
  }

  async #change(sql: string, ...bind: unknown[]): Promise<void> {
    const changed = await this.#db.query(sql, {
      type: QueryTypes.SELECT,
      bind: [this.#user.id, this.#holder, this.#user.sessionId, ...bind],
    });
    if (changed.length === 0) throw new LeaseLost();
  }
}
