import '../connection-attempts.ts';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { ConfigError, DEFAULT_DATA_DIR, withoutEmpty } from '../config.ts';
import { createLogger } from '../logger.ts';
import { Database, databaseErrorCode, isUnavailable, isRefused, reasonOf } from './connection.ts';
import { DatabaseUrlError } from '../config/database-url-error.ts';
import { EmbeddedUnavailable, findEmbedded, startEmbedded } from './embedded.ts';
import { MigrationFailed } from './migration-failed.ts';
import { packageRoot } from '../paths.ts';
import { STOP_SIGNALS } from '../stop-signals.ts';
import { refuseTransactionPooling } from './pooler.ts';
import { SharedSession } from './session.ts';

/**
 * Runs a tool on the database that the service would use: DATABASE_URL, or else the embedded one. That is used where it runs
 * already, and otherwise started and stopped again: also when a signal ends the tool.
 * @param as on the embedded database: as the service, or as a role that may also make databases
 */
export async function withDatabase<T>(
  use: (databaseUrl: string) => Promise<T>,
  as: 'service' | 'admin' = 'service',
): Promise<T> {
  const envFile = join(packageRoot, '.env');
  if (existsSync(envFile)) process.loadEnvFile(envFile);

  const { DATABASE_URL: given, DATA_DIR: dataDir = DEFAULT_DATA_DIR } = withoutEmpty(process.env);
  if (given !== undefined) {
    await refuseTransactionPooling(given).catch((error: unknown) => {
      // What else is wrong with the address, the tool tells as it does.
      if (error instanceof SharedSession) throw error;
    });
    return use(given);
  }

  const running = await findEmbedded(dataDir);
  if (running !== undefined) return use(as === 'admin' ? running.adminUrl : running.url);

  const starting = startEmbedded({ dataDir });
  const end = stopFirst(() => starting.then((embedded) => embedded.stop()));
  for (const signal of STOP_SIGNALS) process.on(signal, end);
  try {
    const embedded = await starting;
    try {
      return await use(as === 'admin' ? embedded.adminUrl : embedded.url);
    } finally {
      await embedded.stop();
    }
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, end);
  }
}

/** Within this time a signal is the first one once more. Milliseconds. */
const SAME_SIGNAL = 1000;

/**
 * Handles signals that end the process. The first stops the database, which cuts off what still uses it, and exits; the
 * next, if it is not the same one that npm passes on too, does not wait for that: a server that was started goes with the
 * process.
 */
function stopFirst(stop: () => Promise<void>): (signal: NodeJS.Signals) => void {
  let since: number | undefined;
  return (signal) => {
    const exit = () => process.exit(128 + constants.signals[signal]);
    if (since !== undefined) {
      if (performance.now() - since > SAME_SIGNAL) exit();
      return;
    }
    since = performance.now();
    stop().then(exit, exit);
  };
}

/** Uses the models on a database, as a tool does, and closes their connections. */
export async function withModels<T>(
  databaseUrl: string,
  use: (db: Database) => Promise<T>,
  pool = 1,
): Promise<T> {
  const db = new Database({ url: databaseUrl, pool, log: createLogger('warn') });
  try {
    return await use(db);
  } finally {
    await db.close();
  }
}

const UNMIGRATED =
  '. Its schema is not that of this version: run npm run db:migrate, unless it is the wrong database';

/** A table, a column or a function is missing. */
function isUnmigrated(error: unknown): boolean {
  return ['42P01', '42703', '42883'].includes(databaseErrorCode(error) ?? '');
}

/** Sets the exit code; faults that are the operator's to mend are told without a stack. */
export async function main(run: () => Promise<number>): Promise<void> {
  // A reader that has seen enough, such as head, does not end what is being done.
  process.stdout.on('error', () => undefined);
  try {
    process.exitCode = await run();
  } catch (error) {
    const known = [EmbeddedUnavailable, DatabaseUrlError, ConfigError, SharedSession, MigrationFailed];
    if (known.some((kind) => error instanceof kind)) console.error((error as Error).message);
    else if (isUnavailable(error) || isRefused(error))
      console.error(
        `The database cannot be used: ${reasonOf(error)}${isUnmigrated(error) ? UNMIGRATED : ''}`,
      );
    else console.error(error);
    process.exitCode = 1;
  }
}
