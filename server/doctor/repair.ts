import type { Database } from '../database/connection.ts';
import type { Finding } from '../database/check.ts';

/** Repairs one finding. The row is the source of truth. */
export async function repair(db: Database, { repair: mend }: Finding): Promise<void> {
  if (mend) await db.transaction(mend);
}

/**
 * Gives the log another epoch: every client gets `reset` and reloads. For a database that was restored in a way that
 * cannot be detected.
 * @returns the new epoch
 */
export async function makeNewEpoch(db: Database): Promise<string> {
  const [rows] = (await db
    .share('service')
    .query('update feed_head set epoch = gen_random_uuid() returning epoch')) as [
    { epoch: string }[],
    unknown,
  ];
  const [head] = rows;
  if (!head) throw new Error('feed_head has no row');
  return head.epoch;
}
