import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { bounded, type Check, type Finding, MOST_FOUND } from '../database/check.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';

/** Whether a webhook stands ahead of the log, so that it would be sent nothing. */
async function findAhead(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: string; position: number; seq: number }>(
    `select w.id, w.position, h.seq from webhooks w join feed_head h on h.epoch = w.epoch
     where w.position > h.seq order by w.id limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ id, position, seq }) => ({
    what: `Webhook ${id} stands at ${position}, and the log ends at ${seq}.`,
    // As the worker would: the receiver is told that it goes on elsewhere.
    repair: (tx) =>
      run(
        tx,
        `update webhooks w set position = h.seq, reset = coalesce(w.reset, 'future'), version = w.version + 1
         from feed_head h where w.id = $1 and h.epoch = w.epoch and w.position > h.seq`,
        id,
      ),
  }));
}

/** Webhooks of deleted accounts: nodes of versions before do not know of them, and leave them when they delete one. */
async function findLeft(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: string; user_id: number }>(
    `select w.id, w.user_id from webhooks w join users u on u.id = w.user_id
     where u.deleted_at is not null order by w.id limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ id, user_id }) => ({
    what: `Webhook ${id} is left of user ${user_id}, whose account was deleted.`,
    repair: (tx) => run(tx, 'delete from webhooks where id = $1', id),
  }));
}

async function run(tx: Transaction, sql: string, id: string): Promise<void> {
  await sequelizeOf(tx).query(sql, { type: QueryTypes.RAW, transaction: tx, bind: [id] });
}

export const webhookChecks: readonly Check[] = [
  { what: 'webhooks', find: async (client) => [...(await findAhead(client)), ...(await findLeft(client))] },
];
