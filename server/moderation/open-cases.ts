import { QueryTypes } from 'sequelize';
import { about, Loop } from '../async/loop.ts';
import type { Database } from '../database/connection.ts';

/** How often they are counted. Milliseconds. */
const INTERVAL = 5000;
/** Cases that are counted at most: beyond it the number tells nothing new. */
const MOST = 10_000;

/** The cases that wait for a moderator, as every node sees them. */
export class OpenCases extends Loop {
  readonly #db: Database;
  /** Open cases, counted up to ten thousand. */
  count = 0;
  /** Since the oldest of them was opened, by the database's clock. Seconds. */
  age = 0;

  constructor(db: Database, onFailed: (error: unknown) => void) {
    super({ work: () => this.#read(), pause: () => about(INTERVAL), onFailed });
    this.#db = db;
  }

  async #read(): Promise<void> {
    const [row] = await this.#db.share('service').query<{ count: number; age: number }>(
      `select count(*)::integer as count,
         coalesce(extract(epoch from clock_timestamp() - min(c.opened_at)), 0)::double precision as age
       from (
         select o.opened_at from moderation_cases o where o.resolved_at is null order by o.opened_at limit $1
       ) c`,
      { type: QueryTypes.SELECT, bind: [MOST] },
    );
    this.count = row?.count ?? 0;
    this.age = Math.max(0, row?.age ?? 0);
  }
}
