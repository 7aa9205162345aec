import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Config } from '../config.ts';
import { handmadeDrift } from '../database/drift.ts';
import { pendingMigrations } from '../database/migrate.ts';
import { createMetrics } from '../http/metrics.ts';
import { createLogger } from '../logger.ts';
import { UNFOLDED } from '../posts/unfolded-posts.ts';
import { openRedis } from '../redis.ts';
import type { Finding } from './log-checks.ts';

/** Whether the server keeps what it acknowledges. */
export async function findLossySettings(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<Record<string, string>>(
    `select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages`,
  );
  const { fsync, pages } = rows[0] ?? {};
  return fsync === 'on' && pages === 'on'
    ? []
    : [{ what: 'fsync or full_page_writes is off: a power cut loses data.' }];
}

/** What a database is told whose searches are slow or not complete yet: they find no less, but may have to wait. */
export async function hintAtSearch(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ indexed: boolean; unfolded: number }>(
    `select exists (select from pg_index i where i.indexrelid = to_regclass('posts_search_grams_idx')
                      and i.indisvalid and i.indnatts = 2) as indexed,
            (select count(*) from posts p where ${UNFOLDED}) as unfolded`,
  );
  const { indexed, unfolded = 0 } = rows[0] ?? {};
  if (!indexed)
    return (
      'Searches read far more posts than they need, since their index is missing: create index concurrently ' +
      'posts_search_grams_idx on posts using gin ((array[id >> 11, -1 - 2 * (id >> 13), -2 - 2 * (id >> 15)]), search_grams) ' +
      'with (gin_pending_list_limit = 1024) where search_grams is not null;'
    );
  return unfolded === 0
    ? undefined
    : `${unfolded} posts are not prepared for searches yet; every node does it, and searches wait for it.`;
}

/** Accounts that had two addresses or names when these were compared otherwise, and now have one. */
export async function hintAtAccounts(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ id: number }>(
    `select id from users where email_key like ' %' or username_key like ' %' order by id limit 20`,
  );
  return rows.length === 0
    ? undefined
    : `Accounts ${rows.map(({ id }) => id).join(', ')} have the address or the name of another account, but for case or Unicode form. ` +
        'They log in by exactly what they signed up with, until they change it.';
}

/** Migrations that this code has and the database has not. */
export async function findPendingMigrations(databaseUrl: string): Promise<Finding[]> {
  return (await pendingMigrations(databaseUrl)).map((name) => ({
    what: `The migration ${name} has not been run: npm run db:migrate.`,
  }));
}

/** Whether the schema is the one that the migrations make. Needs the development dependencies and a role that may create databases. */
export async function findDrift(databaseUrl: string): Promise<Finding[]> {
  return (await handmadeDrift(databaseUrl)).map((statement) => ({
    what: `The schema differs from what the migrations make. Missing: ${statement.replaceAll(/\s+/g, ' ')}`,
  }));
}

/** How long Redis may take to prove that it works. Milliseconds. */
const REDIS_PATIENCE = 4000;

/** Whether Redis carries messages and counts. */
export async function findRedisFaults(config: Readonly<Config>, database: pg.ClientBase): Promise<Finding[]> {
  if (!config.redis) return [];
  const redis = await openRedis({
    config,
    target: config.redis,
    db: { query: ({ text, values }) => database.query<object>(text, values) },
    log: createLogger('silent'),
    metrics: createMetrics(),
    epoch: () => '',
  });
  try {
    await redis.pubsub.client.subscribe([`${redis.prefix}-doctor`]);
    for (const deadline = Date.now() + REDIS_PATIENCE; redis.health.fault && Date.now() < deadline;)
      await pause(50);
    const { fault } = redis.health;
    return fault
      ? [{ what: `${fault.detail} Until then events are late, not lost, and limits are each machine’s own.` }]
      : [];
  } finally {
    redis.close();
  }
}
