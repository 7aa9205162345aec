import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Sequelize, type QueryInterface } from 'sequelize';
import type { Umzug } from 'umzug';
import { packageRoot } from '../paths.ts';
import { sequelizeConnection, withConnection } from './client.ts';
import { databaseErrorCode } from './connection.ts';
import {
  type FunctionFile,
  FUNCTIONS,
  FUNCTIONS_SINCE,
  type FunctionState,
  functionStates,
  makeMissingFunctions,
  readFunctionFiles,
  replaceFunctions,
  type Run,
} from './functions.ts';
import { MigrationFailed, READING } from './migration-failed.ts';
import { requireMigrationRights } from './migration-rights.ts';
import { withMigrationLock } from './migration-lock.ts';
import { sessionLimits } from './session.ts';
import { LOCK_TIME_LIMIT, LOCK_TIMEOUT, LockRetries } from './lock-retries.ts';

const MIGRATIONS = join(packageRoot, 'migrations');
/** The files are CommonJS, which sequelize-cli can load in a package of ES modules. */
const require = createRequire(import.meta.url);
const MIGRATION = /\.c?js$/;
/** What the role that migrates needs: for the lock, the files and the look at who is in the way. */
export const MIGRATION_CONNECTIONS = 3;

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

export interface MigrationOptions {
  /** Where the files are. */
  migrations?: string;
  functions?: string;
  /** How long the locks of one are tried for. Milliseconds. */
  timeLimit?: number;
  /** The last that is run. Functions whose text may need the others are not replaced then. */
  to?: string;
}

/** The names of all migrations, in order. */
export function migrationNames(folder = MIGRATIONS): string[] {
  return readdirSync(folder)
    .filter((name) => MIGRATION.test(name))
    .sort();
}

/**
 * Brings the database's schema up to this version's, one process at a time: runs the files of migrations/ that have not been
 * run, in the order of their names, and then gives each SQL function the text of its file where it has another. The books of
 * migrations are sequelize-cli's table, so both can be used on one database; those of functions are comments on them.
 *
 * A function that is not there at all is made before the migrations, which may need it for a trigger. One that is there is
 * replaced after them, since its text may name what they add; until then it serves the running nodes as before.
 *
 * Migrations and functions that the database has of a newer version are reported and left alone: in a rolling
 * deployment a node of the old version may be restarted after one of the new version has migrated. Running nodes
 * continue meanwhile: a file waits for somebody's lock in short tries (lock-retries.ts).
 * @returns the names of the migrations that were run in the last try
 * @throws {ConfigError} if something is to be changed and the role may not
 */
export async function migrate(
  databaseUrl: string,
  log: MigrationLog = () => undefined,
  {
    migrations: folder = MIGRATIONS,
    functions = FUNCTIONS,
    timeLimit = LOCK_TIME_LIMIT,
    to,
  }: MigrationOptions = {},
): Promise<string[]> {
  const files = migrationNames(folder);
  // Anyone who runs migrations of his own has no functions.
  const functionFiles = files.includes(FUNCTIONS_SINCE) ? await readFunctionFiles(functions) : [];
  const before = await readState(databaseUrl, functionFiles);
  const unknown = before.executed.filter((name) => !files.includes(name));
  if (unknown.length > 0) log('the database was migrated by a newer version of Tidings', { unknown });
  const newer = namesOf(before.functions, ['newer']);
  if (newer.length > 0)
    log('functions of a newer version of Tidings are left unchanged', { functions: newer });
  // A node that starts again finds nothing to do: it need not wait for its turn, nor load what migrates.
  const isDue = (name: string) => (to === undefined || name <= to) && !before.executed.includes(name);
  const pending = files.filter(isDue);
  const due = to === undefined ? namesOf(before.functions, ['missing', 'other']) : [];
  if (pending.length === 0 && due.length === 0) return [];
  await requireMigrationRights(databaseUrl, { migrations: pending, functions: due });
  return withMigrationLock(databaseUrl, log, async (lock) => {
    const sequelize = await connect(databaseUrl);
    const run: Run = async (sql, values) =>
      (await sequelize.query(sql, { raw: true, ...(values && { bind: [...values] }) }))[0] as object[];
    const tries = await LockRetries.open(databaseUrl, sequelize, log, timeLimit);
    try {
      const umzug = await migrations(sequelize, folder);
      const states = async () =>
        functionStates(
          run,
          functionFiles,
          (await umzug.executed()).map(({ name }) => name),
        );
      // A file and the note that it was run are one transaction: after a crash between the two, or between two statements of
      // the file, it would be run again on what is there already, and no node would start any more.
      umzug.on('migrating', async ({ name, path = '' }) => {
        lock.assertHeld();
        if (name > FUNCTIONS_SINCE && functionFiles.length > 0) {
          await tries.begin('Making the functions that are missing');
          await makeMissingFunctions(run, await states());
          await tries.commit();
        }
        log('migrating', { name });
        tries.enter({ what: `The preparation of the migration ${name}`, kind: 'no transaction' });
        await (require(path) as Migration).prepare?.(sequelize.getQueryInterface());
        await tries.begin(`The migration ${name}`);
      });
      umzug.on('migrated', async () => {
        lock.assertHeld();
        await tries.commit();
      });
      return await tries.run(async () => {
        const left = (await umzug.pending()).map(({ name }) => name).filter(isDue);
        const made = (await umzug.up({ migrations: left })).map(({ name }) => name);
        const others = (await states()).filter(({ state }) => state === 'missing' || state === 'other');
        if (others.length > 0 && to === undefined) {
          lock.assertHeld();
          log('replacing functions', { functions: others.map(({ file }) => file.name) });
          await tries.begin('Replacing the functions');
          await replaceFunctions(
            run,
            others.map(({ file }) => file),
            files.at(-1) ?? '',
          );
          lock.assertHeld();
          await tries.commit();
        }
        return made;
      });
    } finally {
      await tries.close();
      await sequelize.close();
    }
  });
}

/** What this version has and the database has not: the names of migrations, and how the functions compare with their files. */
export async function pendingChanges(
  databaseUrl: string,
): Promise<{ migrations: string[]; functions: FunctionState[] }> {
  const { executed, functions } = await readState(databaseUrl, await readFunctionFiles());
  return {
    migrations: migrationNames().filter((name) => !executed.includes(name)),
    functions,
  };
}

function namesOf(functions: readonly FunctionState[], states: readonly FunctionState['state'][]): string[] {
  return functions.filter(({ state }) => states.includes(state)).map(({ file }) => file.name);
}

/**
 * Takes back the newest migrations, down to but not including `downTo`; all of them by default. Each is one transaction with the
 * note of it.
 * @returns their names
 */
export async function migrateDown(databaseUrl: string, downTo = '', folder = MIGRATIONS): Promise<string[]> {
  return takeBack(databaseUrl, folder, (executed) => executed.filter((name) => name > downTo));
}

/** Takes back the newest migrations, down to and including one; all of them by default. @returns their names */
export async function undoDownTo(databaseUrl: string, to = ''): Promise<string[]> {
  return takeBack(databaseUrl, MIGRATIONS, (executed) => executed.filter((name) => name >= to));
}

/** Takes back one migration, the newest by default. @returns its name; nothing if it has not been run */
export async function undoOne(databaseUrl: string, one?: string): Promise<string[]> {
  return takeBack(databaseUrl, MIGRATIONS, (executed) =>
    one === undefined ? executed.slice(-1) : executed.filter((name) => name === one),
  );
}

/** @param choose which of those that were run. The newest is taken back first */
async function takeBack(
  databaseUrl: string,
  folder: string,
  choose: (executed: readonly string[]) => string[],
): Promise<string[]> {
  return withMigrationLock(
    databaseUrl,
    () => undefined,
    async (lock) => {
      const sequelize = await connect(databaseUrl);
      let step = READING;
      try {
        const umzug = await migrations(sequelize, folder);
        umzug.on('reverting', async ({ name }) => {
          lock.assertHeld();
          step = { what: `Taking back the migration ${name}`, kind: 'transaction' };
          await sequelize.query('begin');
        });
        umzug.on('reverted', async () => {
          lock.assertHeld();
          await sequelize.query('commit');
          step = READING;
        });
        const names = choose((await umzug.executed()).map(({ name }) => name)).toReversed();
        return (await umzug.down({ migrations: names })).map(({ name }) => name);
      } catch (error) {
        const isRolledBack = await sequelize.query('rollback').then(
          () => true,
          () => false,
        );
        throw new MigrationFailed(step, error, isRolledBack);
      } finally {
        await sequelize.close();
      }
    },
  );
}

/**
 * One connection, so that what is begun on it holds for whatever a migration does, and ends with it. If it is lost, no other is
 * opened: the note of a migration would be written there without what the migration did.
 */
async function connect(databaseUrl: string): Promise<Sequelize> {
  const sequelize = new Sequelize({
    ...sequelizeConnection(databaseUrl, {
      name: 'tidings migrations',
      connectTimeout: 10_000,
      settings: sessionLimits({ statement: 0, lock: LOCK_TIMEOUT, idleInTransaction: 0 }),
    }),
    logging: false,
    pool: { max: 1, idle: 3_600_000, evict: 3_600_000, acquire: 10_000 },
  });
  await sequelize.authenticate();
  sequelize.addHook('beforeConnect', () => {
    throw new Error('Connection terminated during a migration, which was rolled back');
  });
  return sequelize;
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

interface SchemaState {
  /** The names in sequelize-cli's table, in order; none if there is no such table. */
  executed: string[];
  functions: FunctionState[];
}

async function readState(databaseUrl: string, files: readonly FunctionFile[]): Promise<SchemaState> {
  return withConnection(databaseUrl, { name: 'tidings migrations', queryTimeout: 10_000 }, async (client) => {
    const run: Run = async (sql, values = []) => (await client.query<object>(sql, [...values])).rows;
    const executed = await executedMigrations(run);
    return { executed, functions: await functionStates(run, files, executed) };
  });
}

async function executedMigrations(run: Run): Promise<string[]> {
  try {
    const rows = (await run('select name from "SequelizeMeta" order by name')) as { name: string }[];
    return rows.map(({ name }) => name);
  } catch (error) {
    if (databaseErrorCode(error) === UNDEFINED_TABLE) return [];
    throw error;
  }
}
