import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Sequelize, type QueryInterface } from 'sequelize';
import { SequelizeStorage, Umzug } from 'umzug';
import { packageRoot } from '../paths.ts';
import { dialectModule } from './connection.ts';
import { withMigrationLock } from './migration-lock.ts';

const MIGRATIONS = join(packageRoot, 'migrations');

export type MigrationLog = (message: string, extra?: object) => void;

/** What a file in migrations/ exports, as sequelize-cli knows it. */
interface Migration {
  up(queryInterface: QueryInterface, sequelize: typeof Sequelize): Promise<void>;
  down(queryInterface: QueryInterface, sequelize: typeof Sequelize): Promise<void>;
}

/**
 * Brings the database's schema up to this version's: runs the files of migrations/ that have not been run, in the order of
 * their names, one process at a time. It keeps its books in sequelize-cli's table, so both can be used on one database.
 *
 * Migrations that the database has and this code does not know are reported and left alone: in a rolling deployment a node of
 * the old version may be restarted after one of the new version has migrated.
 * @returns the names of the files that were run
 */
export async function migrate(
  databaseUrl: string,
  log: MigrationLog = () => undefined,
  folder = MIGRATIONS,
): Promise<string[]> {
  return withMigrationLock(databaseUrl, async (lock) => {
    const sequelize = connect(databaseUrl);
    try {
      const umzug = migrations(sequelize, folder);
      await warnOfUnknown(sequelize, umzug, log);
      umzug.on('migrating', ({ name }) => {
        lock.assertHeld();
        log('migrating', { name });
      });
      return (await umzug.up()).map(({ name }) => name);
    } finally {
      await sequelize.close();
    }
  });
}

/** The names of the migrations that this version has and the database has not run. */
export async function pendingMigrations(databaseUrl: string): Promise<string[]> {
  const sequelize = connect(databaseUrl);
  try {
    return (await migrations(sequelize, MIGRATIONS).pending()).map(({ name }) => name);
  } finally {
    await sequelize.close();
  }
}

/** Takes back the newest migrations, down to but not including `downTo`; all of them by default. */
export async function migrateDown(databaseUrl: string, downTo?: string): Promise<string[]> {
  return withMigrationLock(databaseUrl, async () => {
    const sequelize = connect(databaseUrl);
    try {
      const umzug = migrations(sequelize, MIGRATIONS);
      if (downTo === undefined) return (await umzug.down({ to: 0 })).map(({ name }) => name);
      const executed = (await umzug.executed()).map(({ name }) => name);
      const first = executed.find((name) => name > downTo);
      return first === undefined ? [] : (await umzug.down({ to: first })).map(({ name }) => name);
    } finally {
      await sequelize.close();
    }
  });
}

function connect(databaseUrl: string): Sequelize {
  return new Sequelize(databaseUrl, {
    dialect: 'postgres',
    dialectModule,
    logging: false,
    pool: { max: 2, acquire: 10_000 },
    dialectOptions: { application_name: 'tidings migrations', keepAlive: true },
  });
}

function migrations(sequelize: Sequelize, folder: string): Umzug<QueryInterface> {
  // Loaded by require: the files are CommonJS, which sequelize-cli can load in a package of ES modules.
  const require = createRequire(import.meta.url);
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

async function warnOfUnknown(
  sequelize: Sequelize,
  umzug: Umzug<QueryInterface>,
  log: MigrationLog,
): Promise<void> {
  const known = new Set([...(await umzug.executed()), ...(await umzug.pending())].map(({ name }) => name));
  const unknown = (await new SequelizeStorage({ sequelize }).executed()).filter((name) => !known.has(name));
  if (unknown.length > 0) log('the database was migrated by a newer version of Tidings', { unknown });
}
