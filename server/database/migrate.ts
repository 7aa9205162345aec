import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Sequelize, type QueryInterface } from 'sequelize';
import type { Umzug } from 'umzug';
import { packageRoot } from '../paths.ts';
import { sequelizeConnection, withConnection } from './client.ts';
import { databaseErrorCode } from './connection.ts';
import { requireMigrationRights } from './migration-rights.ts';
import { withMigrationLock } from './migration-lock.ts';
import { sessionLimits } from './session.ts';
import { LOCK_PATIENCE, LOCK_TIMEOUT, ShortTries } from './short-tries.ts';

const MIGRATIONS = join(packageRoot, 'migrations');
/** The files are CommonJS, which sequelize-cli can load in a package of ES modules. */
const require = createRequire(import.meta.url);
const MIGRATION = /\.c?js$/;
/** SQLSTATE 42P01. */
const UNDEFINED_TABLE = '42P01';

export type MigrationLog = (message: string, extra?: object) => void;

/** What a file in migrations/ exports, as sequelize-cli knows it. */
interface Migration {
  up(queryInterface: QueryInterface, sequelize: typeof Sequelize): Promise<void>;
  down(queryInterface: QueryInterface, sequelize: typeof Sequelize): Promise<void>;
  /**
   * What cannot be done in a transaction, as to make an index while the table is written. It runs before `up`, possibly
   * more than once, and `up` does without it: sequelize-cli knows nothing of it.
   */
  prepare?(queryInterface: QueryInterface): Promise<void>;
}

/**
 * Brings the database's schema up to this version's: runs the files of migrations/ that have not been run, in the order of
 * their names, one process at a time. It keeps its books in sequelize-cli's table, so both can be used on one database.
 *
 * Migrations that the database has and this code does not know are reported and left alone: in a rolling deployment a node of
 * the old version may be restarted after one of the new version has migrated.
 * Running nodes go on meanwhile: a file waits for somebody's lock in short tries (short-tries.ts).
 * @param patience how long a file is tried for. Milliseconds
 * @returns the names of the files that were run in the last try
 * @throws {ConfigError} if there are some and the role may not run them
 */
export async function migrate(
  databaseUrl: string,
  log: MigrationLog = () => undefined,
  folder = MIGRATIONS,
  patience = LOCK_PATIENCE,
): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => MIGRATION.test(name));
  const before = await executedMigrations(databaseUrl);
  const unknown = before.filter((name) => !files.includes(name));
  if (unknown.length > 0) log('the database was migrated by a newer version of Tidings', { unknown });
  // A node that starts again finds nothing to do: it need not wait for its turn, nor load what migrates.
  const pending = files.filter((name) => !before.includes(name)).sort();
  if (pending.length === 0) return [];
  await requireMigrationRights(databaseUrl, pending);
  return withMigrationLock(databaseUrl, async (lock) => {
    const sequelize = connect(databaseUrl);
    const tries = await ShortTries.open(databaseUrl, sequelize, log, patience);
    try {
      const umzug = await migrations(sequelize, folder);
      // A file and the note that it was run are one transaction: after a crash between the two, or between two statements of
      // the file, it would be run again on what is there already, and no node would start any more.
      umzug.on('migrating', async ({ name, path = '' }) => {
        lock.assertHeld();
        log('migrating', { name });
        await (require(path) as Migration).prepare?.(sequelize.getQueryInterface());
        await tries.begin();
      });
      umzug.on('migrated', async ({ name }) => {
        lock.assertHeld();
        await tries.commit(name);
      });
      return await tries.run(async () => (await umzug.up()).map(({ name }) => name));
    } finally {
      await tries.close();
      await sequelize.close();
    }
  });
}

/** The names of the migrations that this version has and the database has not run. */
export async function pendingMigrations(databaseUrl: string): Promise<string[]> {
  const executed = await executedMigrations(databaseUrl);
  return (await readdir(MIGRATIONS))
    .filter((name) => MIGRATION.test(name) && !executed.includes(name))
    .sort();
}

/** Takes back the newest migrations, down to but not including `downTo`; all of them by default. */
export async function migrateDown(databaseUrl: string, downTo?: string): Promise<string[]> {
  return withMigrationLock(databaseUrl, async () => {
    const sequelize = connect(databaseUrl);
    try {
      const umzug = await migrations(sequelize, MIGRATIONS);
      if (downTo === undefined) return (await umzug.down({ to: 0 })).map(({ name }) => name);
      const executed = (await umzug.executed()).map(({ name }) => name);
      const first = executed.find((name) => name > downTo);
      return first === undefined ? [] : (await umzug.down({ to: first })).map(({ name }) => name);
    } finally {
      await sequelize.close();
    }
  });
}

/** One connection, so that what is begun on it holds for whatever a migration does, and ends with it. */
function connect(databaseUrl: string): Sequelize {
  return new Sequelize({
    ...sequelizeConnection(databaseUrl, {
      name: 'tidings migrations',
      connectTimeout: 10_000,
      settings: sessionLimits({ statement: 0, lock: LOCK_TIMEOUT, idleInTransaction: 0 }),
    }),
    logging: false,
    pool: { max: 1, idle: 3_600_000, evict: 3_600_000, acquire: 10_000 },
  });
}

async function migrations(sequelize: Sequelize, folder: string): Promise<Umzug<QueryInterface>> {
  // With its command line it is a fifth of all modules that a start would load.
  const { SequelizeStorage, Umzug } = await import('umzug');
  return new Umzug({
    migrations: {
      glob: ['*.{cjs,js}', { cwd: folder }],
      resolve: ({ name, path = '', context }) => {
        const load = () => require(path) as Migration;
        return {
          name,
          path,
          up: () => load().up(context, Sequelize),
          down: () => load().down(context, Sequelize),
        };
      },
    },
    context: sequelize.getQueryInterface(),
    storage: new SequelizeStorage({ sequelize }),
    logger: undefined,
  });
}

/** The names in sequelize-cli's table, in order; none if there is no such table. */
async function executedMigrations(databaseUrl: string): Promise<string[]> {
  try {
    return await withConnection(
      databaseUrl,
      { name: 'tidings migrations', queryTimeout: 10_000 },
      async (client) => {
        const { rows } = await client.query<{ name: string }>(
          'select name from "SequelizeMeta" order by name',
        );
        return rows.map(({ name }) => name);
      },
    );
  } catch (error) {
    if (databaseErrorCode(error) === UNDEFINED_TABLE) return [];
    throw error;
  }
}
