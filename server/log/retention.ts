import type pg from 'pg';
import { about, Loop } from '../async/loop.ts';
import type { Logger } from '../logger.ts';

/** Rows in one statement: short transactions, so that pruning never stands in a writer's way. */
const BATCH = 2000;
/** Milliseconds between two rounds. */
const INTERVAL = 60_000;

/**
 * Takes away what is too old: events beyond the retention, ended sessions, old revocations, expired invitations, usernames that
 * need not be kept any more, and idempotency keys of yesterday. Every node does it; two at once do no harm.
 */
export class Pruner {
  readonly #pool: pg.Pool;
  readonly #retention: number;
  readonly #loop: Loop;

  /**
   * @param retention of the log, in milliseconds
   * @param mayWrite asked before each round
   */
  constructor(pool: pg.Pool, log: Logger, retention: number, mayWrite: () => boolean = () => true) {
    this.#pool = pool;
    this.#retention = retention;
    this.#loop = new Loop({
      work: () => (mayWrite() ? this.prune() : Promise.resolve()),
      pause: () => about(INTERVAL),
      onFailed: (error) => log.debug({ err: error }, 'pruning failed; it is tried again'),
    });
  }

  start(): void {
    this.#loop.start(INTERVAL * Math.random());
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async prune(): Promise<void> {
    while (!this.#loop.signal.aborted && (await this.#pruneEvents()) === BATCH);
    for (const sql of [
      // Before their sessions, which may have thousands each: one statement would take them all along.
      `delete from refresh_tokens where hash = any(array(
         select t.hash from sessions s join refresh_tokens t on t.session_id = s.id
         where s.expires_at < now() - interval '1 day' limit ${BATCH}))`,
      `delete from sessions where id in (select id from sessions where expires_at < now() - interval '1 day' limit ${BATCH})`,
      `delete from revocations where id in (select id from revocations where created_at < now() - interval '2 days' limit ${BATCH})`,
      `delete from invitations where id in (select id from invitations where expires_at < now() - interval '1 day' limit ${BATCH})`,
      `delete from kept_usernames where name_hash in (select name_hash from kept_usernames where kept_until <= now() limit ${BATCH})`,
      `delete from idempotency_keys where ctid in (select ctid from idempotency_keys where created_at < now() - interval '1 day' limit ${BATCH})`,
    ]) {
      while (!this.#loop.signal.aborted && ((await this.#pool.query(sql)).rowCount ?? 0) === BATCH);
    }
  }

  /**
   * The floor moves in the transaction that deletes: a position above it can always be served. The events are found from
   * the oldest on, which needs no index on their time. The head is locked first, as by who numbers: the batch in hand may
   * redact one of these events.
   */
  async #pruneEvents(): Promise<number> {
    const { rows } = await this.#pool.query<{ pruned: number }>(
      `with old as (
         select seq from (select seq, created_at from event_log order by seq limit ${BATCH}) oldest
         where created_at < now() - $1 * interval '1 millisecond'
       ), head as materialized (
         select h.id from feed_head h where exists (select from old) for no key update
       ), gone as (
         delete from event_log where seq <= (select max(seq) from old) and exists (select from head) returning seq
       ), moved as (
         update feed_head set floor = greatest(floor, (select max(seq) from gone)) where exists (select 1 from gone)
       )
       select count(*) as pruned from gone`,
      [this.#retention],
    );
    return rows[0]?.pruned ?? 0;
  }
}
