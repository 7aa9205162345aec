import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { connectClient } from './client.ts';

/** "tidings" in the numbers that advisory locks are named by; sequelize-cli's runs through our npm scripts take it too. */
const LOCK = 8_434_810_617;
/** As long as indexes of a large database may take. A process that hangs does not keep the lock: see SILENCE_MS. */
const WAIT_MS = 12 * 3_600_000;
/** How often it is said that the lock is waited for. */
const SAY_MS = 60_000;
const HEARTBEAT_MS = 5_000;
/** How long the lock of a process that is stopped or cut off stays in the way of the others. */
const SILENCE_MS = 30_000;

export interface MigrationLock {
  /** Throws when the lock has been lost, so that nothing more is changed without it. */
  assertHeld(): void;
  /** Aborted when it has been lost. */
  readonly lost: AbortSignal;
}

/**
 * Runs `work` while no other process migrates this database: several nodes boot at once.
 *
 * The lock lives in a session of its own, since a migration may need the pool's only connection. The session says
 * something every few seconds and the server ends it when it falls silent, so that a process that hangs (SIGSTOP) or whose
 * network is gone does not keep every other node from starting.
 */
export async function withMigrationLock<T>(
  databaseUrl: string,
  say: (message: string) => void,
  work: (lock: MigrationLock) => Promise<T>,
  waitMs = WAIT_MS,
): Promise<T> {
  const client = await connectClient(databaseUrl, {
    name: 'tidings migrations',
    queryTimeout: 10_000,
    keepAliveDelay: 10_000,
  });
  const lost = new AbortController();
  const lose = (cause: unknown) =>
    lost.abort(new Error('The migration lock was lost with its connection', { cause }));
  client.on('error', lose);
  let heartbeat: NodeJS.Timeout | undefined;
  try {
    await client.query(
      'set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3; ' +
        `set idle_session_timeout = ${SILENCE_MS}`,
    );
    await acquire(client, say, waitMs);
    heartbeat = setInterval(() => {
      client.query('select 1').catch(lose);
    }, HEARTBEAT_MS);
    return await work({
      assertHeld: () => lost.signal.throwIfAborted(),
      lost: lost.signal,
    });
  } finally {
    clearInterval(heartbeat);
    await client.end().catch(() => undefined); // ending the session frees the lock
  }
}

/**
 * Polled instead of waiting in SQL: a waiting statement would hold a snapshot that blocks `create index concurrently`.
 */
async function acquire(client: pg.Client, say: (message: string) => void, waitMs: number): Promise<void> {
  const deadline = Date.now() + waitMs;
  let saidAt = -Infinity;
  for (;;) {
    const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [LOCK]);
    if (rows[0]?.held === true) return;
    if (Date.now() > deadline) {
      throw new Error(
        `Another process has been migrating this database for more than ${waitMs / 1000} s ` +
          '(it holds the advisory lock of the session "tidings migrations" in pg_stat_activity)',
      );
    }
    if (Date.now() - saidAt >= SAY_MS) {
      saidAt = Date.now();
      say('another process is migrating this database; waiting for it');
    }
    await sleep(100 + Math.random() * 100);
  }
}
