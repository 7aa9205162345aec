import { until } from './waiting.ts';
import type { Answer, TestUser, World } from './world.ts';

/**
 * Sends requests one after the other while another transaction holds the user: each waits behind the one before. Then it
 * ends, and they go on in this order.
 * @param meanwhile what waits for nobody, and is done before it ends
 */
export async function inThisOrder(
  world: World,
  user: TestUser,
  sends: readonly (() => Promise<Answer<object>>)[],
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<Answer<object>[]> {
  const client = await world.pool.connect();
  try {
    await client.query('begin');
    await client.query('select from users where id = $1 for no key update', [user.id]);
    const { rows: own } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const answers: Promise<Answer<object>>[] = [];
    for (const send of sends) {
      answers.push(send());
      await until('the request to wait', async () => {
        const waiting = await world.pool.query(
          `with recursive waiting as (
             select $1::integer as pid
             union select a.pid from pg_stat_activity a join waiting w on w.pid = any (pg_blocking_pids(a.pid))
           ) select from waiting`,
          [own[0]?.pid],
        );
        return waiting.rowCount === answers.length + 1;
      });
    }
    await meanwhile();
    await client.query('commit');
    return await Promise.all(answers);
  } finally {
    client.release();
  }
}
