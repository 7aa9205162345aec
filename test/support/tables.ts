import { QueryTypes } from 'sequelize';
import type { FeedEventName } from '../../server/contract.ts';
import { until } from './waiting.ts';
import type { World } from './world.ts';

/** What a statement finds in the world's database. `$1`, `$2` … stand for the values of `bind`. */
export function rows<T extends object>(world: World, sql: string, bind: unknown[] = []): Promise<T[]> {
  return world.ctx.db.share('service').query<T>(sql, { type: QueryTypes.SELECT, bind });
}

/** Changes the world's database behind the service's back. */
export async function execute(world: World, sql: string, bind: unknown[] = []): Promise<void> {
  await world.ctx.db.share('service').query(sql, { type: QueryTypes.RAW, bind });
}

/** The one number that a statement gives. */
export async function numberOf(world: World, sql: string, bind: unknown[] = []): Promise<number> {
  const [row] = await rows<Record<string, number>>(world, sql, bind);
  return Object.values(row ?? {})[0] ?? Number.NaN;
}

/** Has the owners of posts told of all votes, without the pause that the service makes in between. */
export async function tellVotes(world: World): Promise<void> {
  await until('votes to be told', async () => {
    await execute(world, `update vote_notices set told_at = '-infinity' where pending`);
    return (await numberOf(world, 'select settle_notifications(100)')) === 0;
  });
}

/** Does something while no event gets a number. */
export async function whileUnnumbered<T>(world: World, act: () => Promise<T>): Promise<T> {
  const client = await world.pool.connect();
  try {
    await client.query('begin; select from feed_head for update');
    return await act();
  } finally {
    await client.query('rollback');
    client.release();
  }
}

export interface LoggedRow {
  seq: number;
  name: FeedEventName;
  post_id: number;
  data: Record<string, unknown>;
}

/** The highest seq, once the node has everything that is committed: a socket, a stream or a poll that comes now hears nothing of it. */
export async function caughtUp(world: World): Promise<number> {
  let head = 0;
  // Asked anew each time: what comes meanwhile has a number beyond the one before.
  await until('the node to be up to date', async () => {
    head = await headOf(world);
    return world.ctx.feed.seq === head;
  });
  return head;
}

/** The highest seq, once everything that is committed has its number. */
export async function headOf(world: World): Promise<number> {
  await until('everything committed to be numbered', async () => {
    return (await numberOf(world, 'select count(*) from event_outbox')) === 0;
  });
  return numberOf(world, 'select seq from feed_head');
}

/**
 * What the feed was told since then, all of which has its number. Others' notifications are no part of it: those of votes
 * come some time after what a test before has done.
 */
export async function postEventsSince(world: World, seq: number): Promise<LoggedRow[]> {
  await headOf(world);
  return rows<LoggedRow>(
    world,
    "select seq, name, entity_id as post_id, data from event_log where seq > $1 and name like 'post:%' order by seq",
    [seq],
  );
}

/** Runs `work` and tells the names of the events that it left in the feed, in order. */
export async function namesOfEvents(world: World, work: () => Promise<unknown>): Promise<string[]> {
  const before = await headOf(world);
  await work();
  return (await postEventsSince(world, before)).map((event) => event.name);
}
