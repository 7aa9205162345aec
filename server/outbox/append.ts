import { QueryTypes, type Sequelize, type Transaction } from 'sequelize';
import type { FeedEventName, FeedEvents } from '../events.ts';

/**
 * The door to the outbox; what is written where the posts are, in the database (its function `create_posts`, and a user's new
 * name), has its own, and calls `announce`. The transaction is a required argument: an event written outside one could
 * announce a row that never existed. It must be the last statement of its transaction: the outbox id is drawn while every row that the
 * event tells of is locked, so two events of one post are numbered in the order of their writes.
 */
export async function append<N extends FeedEventName>(
  tx: Transaction,
  name: N,
  data: FeedEvents[N],
): Promise<void> {
  await appendAll(tx, name, [data]);
}

/** Several events of one kind, numbered in the order given. */
export async function appendAll<N extends FeedEventName>(
  tx: Transaction,
  name: N,
  data: readonly FeedEvents[N][],
): Promise<void> {
  if (data.length === 0) return;
  const sequelize = (tx as unknown as { sequelize: Sequelize }).sequelize;
  await sequelize.query(
    `insert into outbox (name, post_id, data)
     select $1, e.post_id, e.data from unnest($2::bigint[], $3::json[]) with ordinality as e (post_id, data, ord) order by e.ord`,
    {
      transaction: tx,
      type: QueryTypes.RAW,
      bind: [name, data.map((item) => item.id), data.map((item) => JSON.stringify(item))],
    },
  );
  tx.afterCommit(() => announce(sequelize));
}

/** Something has been appended and committed. */
export function announce(sequelize: object): void {
  wakeUps.get(sequelize)?.();
}

const wakeUps = new WeakMap<object, () => void>();

/** Says whom to wake when a transaction that appended has committed: the node's own sequencer, in process. */
export function onAppended(sequelize: object, wake: () => void): void {
  wakeUps.set(sequelize, wake);
}
