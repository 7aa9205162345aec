import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Changes, PostgreSQL } from '@pgkit/migra';
import { withConnection } from './client.ts';
import { onDatabase } from '../config/connection-config.ts';
import { dropDatabase } from './drop-database.ts';
import { migrate } from './migrate.ts';
import { syncModels } from './sync-models.ts';

/** The statements that turn the schema of the migrations into the one of the models, and back. */
export interface Drift {
  up: string[];
  down: string[];
}

export interface Schemas {
  /** Fills an empty database as the migrations do. */
  actual: (databaseUrl: string) => Promise<unknown>;
  /** Fills an empty database as the models define it. */
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
    return compareSchemas(a, b);
  });
}

/** What a database lacks of the schema that the migrations make: somebody has changed it by hand. */
export async function handmadeDrift(databaseUrl: string): Promise<string[]> {
  return withScratchDatabases(databaseUrl, async (reference) => {
    await migrate(reference);
    return (await compareSchemas(databaseUrl, reference)).up;
  });
}

/** The difference between the schemas of two databases. */
export async function compareSchemas(fromUrl: string, toUrl: string): Promise<Drift> {
  const { Changes } = await import('@pgkit/migra'); // a development dependency: the service never gets here
  const [from, to] = await Promise.all([inspect(fromUrl), inspect(toUrl)]);
  return { up: statements(new Changes(from, to)), down: statements(new Changes(to, from)) };
}

/**
 * What turns the inspected schema into the wanted one. The parts and their order are migra's own, without those of functions,
 * triggers and views.
 */
function statements(changes: Changes): string[] {
  return [
    changes.enums({ creations_only: true, modifications: false }),
    changes.sequences({ creations_only: true }),
    changes.non_pk_constraints({ drops_only: true }),
    changes.pk_constraints({ drops_only: true }),
    changes.non_mv_indexes({ drops_only: true }),
    changes.tables_only_selectables(),
    changes.sequences({ drops_only: true }),
    changes.enums({ drops_only: true, modifications: false }),
    changes.non_mv_indexes({ creations_only: true }),
    changes.pk_constraints({ creations_only: true }),
    changes.non_pk_constraints({ creations_only: true }),
  ].flatMap((part) => [...part].map((statement) => statement.trim()).filter((text) => text !== ''));
}

/**
 * migra reads a schema through a client of its own making, whose pool says it has ended before its sessions have, which
 * then trip over the end of the scratch database. All that it asks of one are these two.
 */
async function inspect(databaseUrl: string): Promise<PostgreSQL> {
  const migra = await import('@pgkit/migra');
  return onServer(databaseUrl, async (client) => {
    const rows = async ({ sql }: { sql: string }) =>
      (await client.query<Record<string, unknown>>({ text: sql, types: NUMBERS })).rows;
    const connection = {
      any: rows,
      oneFirst: async (query: { sql: string }) => Object.values((await rows(query))[0] ?? {})[0],
    };
    const schema = await migra.PostgreSQL.create(
      connection as unknown as Parameters<typeof migra.PostgreSQL.create>[0],
    );
    schema.one_schema('public');
    return schema;
  });
}

/** Counts and object numbers, which `pg` gives as strings where they are wide. */
const NUMBERS = new pg.TypeOverrides();
NUMBERS.setTypeParser(pg.types.builtins.INT8, Number);
NUMBERS.setTypeParser(pg.types.builtins.NUMERIC, Number);

/** sequelize-cli's table of executed migrations has no model. */
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
      const [a = '', b = ''] = names.map((name) => onDatabase(databaseUrl, name));
      return await use(a, b);
    } catch (error) {
      throw (error as { code?: string }).code === '42501'
        ? new Error('Comparing schemas needs a role that may create databases (alter role … createdb)', {
            cause: error,
          })
        : error;
    } finally {
      for (const name of names) await dropDatabase(client, name);
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
    if (age > ABANDONED_S) await dropDatabase(client, datname);
  }
}

function onServer<T>(databaseUrl: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  return withConnection(databaseUrl, { name: 'tidings schema' }, use);
}
