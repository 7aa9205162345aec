import { QueryTypes, type Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';
import type { Run } from './run.ts';

/** Statements of this part at once. */
const AT_ONCE = 3;

/** What the worker asks of the database, a little at once. What is for all webhooks takes turns with what is for one. */
export class WebhookStatements {
  readonly #share: DatabaseShare;
  readonly #turns = new FairSemaphore<'all' | 'one'>({ atOnce: AT_ONCE, pathOf: (whose) => [whose] });

  constructor(db: Database) {
    this.#share = db.share('webhooks');
  }

  /** About all webhooks of the process. @returns the rows */
  all<T extends object>(sql: string, ...bind: unknown[]): Promise<T[]> {
    return this.#select('all', sql, bind);
  }

  /** About one of them. @returns the rows */
  one<T extends object>(sql: string, ...bind: unknown[]): Promise<T[]> {
    return this.#select('one', sql, bind);
  }

  /** Several about one of them. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#turns.run('one', () => this.#share.transaction(work));
  }

  /**
   * Writes to the webhook of a run, unless its user has changed it meanwhile or another run has it.
   * @param changes SQL, with `bind` from `$4` on
   * @param version that the run has read
   */
  async write({ id, holder }: Run, version: number, changes: string, ...bind: unknown[]): Promise<void> {
    await this.one(
      `update webhooks set ${changes} where id = $1 and lease_holder = $2 and version = $3`,
      id,
      holder,
      version,
      ...bind,
    );
  }

  #select<T extends object>(whose: 'all' | 'one', sql: string, bind: unknown[]): Promise<T[]> {
    return this.#turns.run(whose, () => this.#share.query<T>(sql, { type: QueryTypes.SELECT, bind }));
  }
}
