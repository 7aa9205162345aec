import type pg from 'pg';
import { QueryTypes } from 'sequelize';
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
    repair: async (tx) => {
      await sequelizeOf(tx).query(
        `update webhooks w set position = h.seq, version = w.version + 1
         from feed_head h where w.id = $1 and h.epoch = w.epoch and w.position > h.seq`,
        { type: QueryTypes.RAW, transaction: tx, bind: [id] },
      );
    },
  }));
}

export const webhookChecks: readonly Check[] = [{ what: 'webhooks', find: findAhead }];
