import type pg from 'pg';
import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import type { Finding } from '../database/check.ts';
import { inWords } from '../text/time-span.ts';

/** How many holes are sent one by one. */
const TOLD = 20;

/** Whether the log is without a gap, from its floor to its head. The last gaps are listed, newest first. */
export async function findHoles(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{
    seq: number;
    floor: number;
    first: number | null;
    last: number | null;
    count: number;
  }>(
    `select h.seq, h.floor, (select min(seq) from event_log) as first, (select max(seq) from event_log) as last,
            (select count(*) from event_log) as count
     from feed_head h`,
  );
  const head = rows[0];
  if (!head) return [{ what: 'feed_head has no row: the log has lost its head.' }];
  const expected = head.seq - head.floor;
  if (
    head.count === expected &&
    (expected === 0 || (head.first === head.floor + 1 && head.last === head.seq))
  )
    return [];
  const { rows: holes } = await client.query<{ after: number; before: number }>(
    `select seq as after, next as before from (
       select seq, lead(seq, 1, $2 + 1) over (order by seq) as next
       from (select $1::bigint as seq union all select seq from event_log where seq > $1) kept
     ) pairs where next > seq + 1 order by seq desc limit $3`,
    [head.floor, head.seq, TOLD],
  );
  const [last] = holes;
  return [
    {
      ...(last && { repair: (tx: Transaction) => raiseFloor(tx, last.before - 1) }),
      what: `The log should hold ${expected} events, ${head.floor + 1} to ${head.seq}, and holds ${head.count}, ${head.first ?? '–'} to ${head.last ?? '–'}.`,
    },
    ...holes.map(({ after, before }) => ({
      what: `The log has a hole between ${after} and ${before}.`,
    })),
  ];
}

/** Whether an event has waited too long for its number. */
export async function findStuck(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ count: number; seconds: number }>(
    `select count(*) as count, extract(epoch from now() - min(created_at))::integer as seconds
     from event_outbox where created_at < now() - interval '10 seconds'`,
  );
  const { count = 0, seconds = 0 } = rows[0] ?? {};
  return count === 0
    ? []
    : [
        {
          what: `${count} events have no number yet, the oldest for ${inWords(seconds)}: no node is numbering events.`,
        },
      ];
}

/**
 * Lost events cannot be restored. The floor of the log moves above the gap, so that a client that would miss events
 * gets `reset` instead. Running nodes use the new floor from their next read of the log on.
 */
async function raiseFloor(tx: Transaction, seq: number): Promise<void> {
  await select(tx, 'update feed_head set floor = greatest(floor, $1)', seq);
  await select(tx, 'delete from event_log where seq <= $1', seq);
  await select(tx, 'delete from event_topics where seq <= $1', seq);
}
