import { QueryTypes } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';

/** For how long an account counts as a new one. Days. */
const NEW_DAYS = 7;
/** How often it is looked which accounts are no longer new. Milliseconds. */
const LOOK = 600_000;

/** Which accounts are new. Numbers of users only grow, so the highest of an account that is not new tells it of all. */
export class NewAccounts {
  readonly #db: DatabaseShare;
  #highestOld: Promise<number> | undefined;
  #lookedAt = 0;

  constructor(db: DatabaseShare) {
    this.#db = db;
  }

  /** Whether an account is younger than a week, or was so ten minutes ago. */
  async has(userId: number): Promise<boolean> {
    if (Date.now() - this.#lookedAt > LOOK) {
      this.#lookedAt = Date.now();
      this.#highestOld = this.#look();
      // It is asked for again by the next vote.
      this.#highestOld.catch(() => (this.#lookedAt = 0));
    }
    return userId > ((await this.#highestOld) ?? 0);
  }

  async #look(): Promise<number> {
    const [row] = await this.#db.query<{ id: number }>(
      `select id from users where created_at < now() - interval '${NEW_DAYS} days' order by id desc limit 1`,
      { type: QueryTypes.SELECT },
    );
    return row?.id ?? 0;
  }
}
