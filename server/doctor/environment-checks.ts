import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Config } from '../config.ts';
import { connectionConfig, type DatabaseHost, describeHost } from '../config/connection-config.ts';
import { withConnection } from '../database/client.ts';
import { reasonOf } from '../database/connection.ts';
import { handmadeDrift } from '../database/drift.ts';
import type { FunctionState } from '../database/functions.ts';
import { only } from '../database/hosts.ts';
import { pendingChanges } from '../database/migrate.ts';
import { OTHER_EPOCH, type Place, placeOf, replicaFault } from '../database/place.ts';
import { refuseTransactionPooling } from '../database/pooler.ts';
import { REPLICA_EXTRA_CONNECTIONS, REPLICA_VARIABLE } from '../database/replica.ts';
import { CONNECTION_LIMIT, connectionFault } from '../database/requirements.ts';
import { createMetrics } from '../ops/metrics.ts';
import { createLogger } from '../logger.ts';
import { openRedis } from '../redis.ts';
import type { Finding } from '../database/check.ts';

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

/** Migrations that this code has and the database has not. */
export async function findPendingMigrations(databaseUrl: string): Promise<Finding[]> {
  return (await pendingChanges(databaseUrl)).migrations.map((name) => ({
    what: `The migration ${name} has not been run: npm run db:migrate.`,
  }));
}

/** Functions of the database whose text is not this build's; in a hint those of a newer build, which serve this one too. */
export async function lookAtFunctions(databaseUrl: string): Promise<{ findings: Finding[]; hint?: string }> {
  const { functions } = await pendingChanges(databaseUrl);
  const names = (wanted: FunctionState['state']) =>
    functions.filter(({ state }) => state === wanted).map(({ file }) => file.name);
  const newer = names('newer');
  return {
    findings: [
      ...names('missing').map((name) => ({ what: `The function ${name} is missing: npm run db:migrate.` })),
      ...names('other').map((name) => ({
        what: `The function ${name} does not have the text of this version: npm run db:migrate.`,
      })),
    ],
    ...(newer.length > 0 && { hint: `of a newer version, left unchanged: ${newer.join(', ')}` }),
  };
}

/** Whether the schema is the one that the migrations make. Needs the development dependencies and a role that may create databases. */
export async function findDrift(databaseUrl: string): Promise<Finding[]> {
  return (await handmadeDrift(databaseUrl)).map((statement) => ({
    what: `The schema differs from what the migrations make. Missing: ${statement.replaceAll(/\s+/g, ' ')}`,
  }));
}

/** How long connecting to a replica may take, and each answer of it. Milliseconds. */
const REPLICA_TIME_LIMIT = 5000;

/** Whether each replica can be read from. */
export async function findReplicaFaults(config: Readonly<Config>, primary: pg.Client): Promise<Finding[]> {
  const reason = (error: unknown) => `${reasonOf(error) || 'no connection'}.`;
  const place = await placeOf(primary, REPLICA_TIME_LIMIT).catch(reason);
  if (typeof place === 'string')
    return [{ what: `No replica is used, since the database does not tell which one it is: ${place}` }];
  const connections = config.databasePool + REPLICA_EXTRA_CONNECTIONS;
  const epoch = await epochOf(primary).catch(() => undefined); // no migration has been run
  const found: Finding[] = [];
  for (const url of config.databaseReplicaUrls)
    for (const host of connectionConfig(url).hosts) {
      const fault = await unusable(url, host, { place, epoch, connections }).catch(reason);
      if (fault !== undefined)
        found.push({ what: `The replica ${describeHost(host)} is not used: ${fault}` });
    }
  return found;
}

/** Why a replica cannot be read from, as a sentence; undefined if it can. @throws what connecting throws */
async function unusable(
  url: string,
  host: DatabaseHost,
  { place, epoch, connections }: { place: Place; epoch: string | undefined; connections: number },
): Promise<string | undefined> {
  const where = {
    hosts: only(host),
    variable: REPLICA_VARIABLE,
    connectTimeout: REPLICA_TIME_LIMIT,
    queryTimeout: REPLICA_TIME_LIMIT,
  };
  await refuseTransactionPooling(url, where);
  return withConnection(url, { ...where, name: 'tidings doctor' }, async (client) => {
    const fault = replicaFault(await placeOf(client, REPLICA_TIME_LIMIT), place);
    if (fault !== undefined) return fault;
    // A new epoch is replayed a moment later.
    for (
      const deadline = Date.now() + REPLICA_TIME_LIMIT;
      epoch !== undefined && (await epochOf(client)) !== epoch;
    ) {
      if (Date.now() > deadline) return OTHER_EPOCH;
      await pause(100);
    }
    const { rows } = await client.query<{ role: string; limit: number }>(
      `select r.rolname as role, ${CONNECTION_LIMIT} as limit from pg_roles r cross join pg_database d
       where r.rolname = current_user and d.datname = current_database()`,
    );
    return rows[0] && connectionFault(rows[0], connections);
  });
}

async function epochOf(client: pg.Client): Promise<string | undefined> {
  const { rows } = await client.query<{ epoch: string }>('select epoch::text as epoch from feed_head');
  return rows[0]?.epoch;
}

/** How long the OpenID provider may take to answer. Milliseconds. */
const PROVIDER_TIME_LIMIT = 4000;
/** How long Redis may take to prove that it works. Milliseconds. */
const REDIS_TIME_LIMIT = 4000;

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
    for (const deadline = Date.now() + REDIS_TIME_LIMIT; redis.health.fault && Date.now() < deadline;)
      await pause(50);
    const { fault } = redis.health;
    return fault
      ? [
          {
            what: `${fault.detail} Until then events are delayed, not lost, and each machine counts rate limits on its own.`,
          },
        ]
      : [];
  } finally {
    redis.close();
  }
}

/** Whether the OpenID provider can be reached and used. */
export async function findProviderFaults(config: Readonly<Config>): Promise<Finding[]> {
  if (!config.oidc) return [];
  const { issuer } = config.oidc;
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const finding = (reason: string) => [
    {
      what: `The OpenID provider cannot be used: ${address} ${reason}. Until then nobody can log in with it.`,
    },
  ];
  try {
    const answer = await fetch(address, {
      redirect: 'manual',
      signal: AbortSignal.timeout(PROVIDER_TIME_LIMIT),
    });
    if (answer.status !== 200) return finding(`answers ${answer.status}`);
    const said = ((await answer.json()) as { issuer?: unknown }).issuer;
    const same =
      typeof said === 'string' && URL.canParse(said) && new URL(said).href === new URL(issuer).href;
    return same ? [] : finding('is of another issuer than OIDC_ISSUER says');
  } catch {
    return finding('cannot be read');
  }
}
