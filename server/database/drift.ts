import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrate } from './migrate.ts';
import { syncModels } from './sync-models.ts';

/** What it takes to bring the schema that the migrations make to the one that the models tell, and back. */
export interface Drift {
  up: string[];
  down: string[];
}

export interface Schemas {
  /** Fills an empty database as the migrations do. */
  actual: (databaseUrl: string) => Promise<unknown>;
  /** Fills an empty database as the models tell. */
  wanted: (databaseUrl: string) => Promise<unknown>;
}

const PREFIX = 'tidings_scratch_';
const ABANDONED_S = 3600;

/**
 * Compares two schemas in scratch databases beside `databaseUrl`, whose own tables are not looked at: a database is a
 * result of its history, and what must agree are the migrations and the models.
 *
 * Functions, triggers and views are not compared. The models have no words for them, and the migrations do.
 */
export async function schemaDrift(
  databaseUrl: string,
  { actual, wanted }: Schemas = { actual: migrate, wanted: syncModels },
): Promise<Drift> {
  return withScratchDatabases(databaseUrl, async (a, b) => {
    await actual(a);
    await wanted(b);
    await forgetBookkeeping(a);
    await forgetBookkeeping(b);
    return { up: await difference(a, b), down: await difference(b, a) };
  });
}

/** The statements that turn the schema of one database into that of another. */
async function difference(from: string, to: string): Promise<string[]> {
  const { run } = await import('@pgkit/migra'); // a development dependency: the service never gets here
  // It plans the whole difference first and then only the parts that we ask for.
  const migration = await run(from, to, { unsafe: true, schema: 'public' });
  const { changes } = migration;
  try {
    migration.clear();
    migration.set_safety(false);
    migration.add(changes.enums({ creations_only: true, modifications: false }));
    migration.add(changes.sequences({ creations_only: true }));
    migration.add(changes.non_pk_constraints({ drops_only: true }));
    migration.add(changes.pk_constraints({ drops_only: true }));
    migration.add(changes.non_mv_indexes({ drops_only: true }));
    migration.add(changes.tables_only_selectables());
    migration.add(changes.sequences({ drops_only: true }));
    migration.add(changes.enums({ drops_only: true, modifications: false }));
    migration.add(changes.non_mv_indexes({ creations_only: true }));
    migration.add(changes.pk_constraints({ creations_only: true }));
    migration.add(changes.non_pk_constraints({ creations_only: true }));
    return [...migration.statements].map((statement) => statement.trim()).filter((text) => text !== '');
  } finally {
    for (const side of [migration.s_from, migration.s_target]) {
      // migra opens a pool for a URL and leaves it open.
      if ('end' in side && typeof side.end === 'function') await (side.end as () => Promise<void>)();
    }
  }
}

/** sequelize-cli's table of executed migrations is nobody's model. */
async function forgetBookkeeping(databaseUrl: string): Promise<void> {
  await onServer(databaseUrl, (client) => client.query('drop table if exists "SequelizeMeta"'));
}

async function withScratchDatabases<T>(
  databaseUrl: string,
  use: (a: string, b: string) => Promise<T>,
): Promise<T> {
  const stem = `${PREFIX}${Math.floor(Date.now() / 1000)}_${randomBytes(4).toString('hex')}`;
  const names = [`${stem}_a`, `${stem}_b`];
  return onServer(databaseUrl, async (client) => {
    await dropAbandoned(client);
    try {
      // From template0: template1 may hold whatever the server's owner puts into new databases.
      for (const name of names) await client.query(`create database ${name} template template0`);
      const [a = '', b = ''] = names.map((name) => {
        const url = new URL(databaseUrl);
        url.pathname = `/${name}`;
        return url.href;
      });
      return await use(a, b);
    } catch (error) {
      throw (error as { code?: string }).code === '42501'
        ? new Error('Comparing schemas needs a role that may create databases (alter role … createdb)', {
            cause: error,
          })
        : error;
    } finally {
      for (const name of names) await client.query(`drop database if exists ${name} with (force)`);
    }
  });
}

/** Left by a run that was killed. Their names tell their age. */
async function dropAbandoned(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ datname: string }>(
    `select datname from pg_database where datname ~ '^${PREFIX}[0-9]+_[0-9a-f]+_[ab]$'`,
  );
  for (const { datname } of rows) {
    const age = Date.now() / 1000 - Number(datname.slice(PREFIX.length).split('_')[0]);
    if (age > ABANDONED_S) await client.query(`drop database if exists ${datname} with (force)`);
  }
}

async function onServer<T>(databaseUrl: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined); // its query fails as well, and that is what is reported
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
