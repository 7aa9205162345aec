/** Runs sequelize-cli on the service's database: `npm run db:migrate`, `npm run db:seed:all`, … */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { addressFault } from '../server/config/connection-config.ts';
import { DatabaseUrlError } from '../server/config/database-url-error.ts';
import {
  migrate,
  MIGRATION_CONNECTIONS,
  migrateDown,
  type MigrationLog,
  undoLast,
} from '../server/database/migrate.ts';
import { withMigrationLock } from '../server/database/migration-lock.ts';
import { requireUsableDatabase } from '../server/database/requirements.ts';
import { migrateForService, requireSameDatabase } from '../server/database/service-grants.ts';
import { refuseTransactionPooling } from '../server/database/pooler.ts';
import { packageRoot } from '../server/paths.ts';
import { main, withDatabase } from '../server/database/target.ts';
import { STOP_SIGNALS } from '../server/stop-signals.ts';

const args = process.argv.slice(2);

/** Each migration is one transaction here, with the note that it was taken back. sequelize-cli makes several of it. */
const UNDO: Record<string, ((databaseUrl: string) => Promise<string[]>) | undefined> = {
  'db:migrate:undo': undoLast,
  'db:migrate:undo:all': (databaseUrl) => migrateDown(databaseUrl),
};

await main(() =>
  withDatabase(async (serviceUrl) => {
    // What changes the schema is done by the role that owns it.
    const migrationUrl = process.env.MIGRATION_DATABASE_URL ?? '';
    const apart = migrationUrl !== '' && args[0]?.startsWith('db:migrate') === true;
    if (apart) {
      const fault = addressFault(migrationUrl, 'MIGRATION_DATABASE_URL');
      if (fault !== undefined) throw new DatabaseUrlError(fault);
      await refuseTransactionPooling(migrationUrl, { variable: 'MIGRATION_DATABASE_URL' });
      await requireSameDatabase(migrationUrl, serviceUrl);
    }
    const databaseUrl = apart ? migrationUrl : serviceUrl;
    // As a node does at its start: in short tries, which stop no running node.
    if (args.length === 1 && args[0] === 'db:migrate') {
      await requireUsableDatabase(databaseUrl, MIGRATION_CONNECTIONS);
      const log: MigrationLog = (message, extra) => console.log(message, extra ?? '');
      const names = await (apart
        ? migrateForService(migrationUrl, serviceUrl, log)
        : migrate(databaseUrl, log));
      if (names.length === 0) console.log('No migrations were pending.');
      return 0;
    }
    const undo = args.length === 1 ? UNDO[args[0] ?? ''] : undefined;
    if (undo !== undefined) {
      const names = await undo(databaseUrl);
      console.log(names.length === 0 ? 'No migrations were run.' : `Taken back: ${names.join(', ')}`);
      return 0;
    }
    // A node that boots at this moment migrates too.
    return args[0]?.startsWith('db:migrate') === true && args[0] !== 'db:migrate:status'
      ? withMigrationLock(databaseUrl, console.error, ({ lost }) => sequelizeCli(databaseUrl, lost))
      : sequelizeCli(databaseUrl);
  }),
);

/** It ends before this process does, also at a signal, so that it changes nothing without the lock. @param lost ends it */
async function sequelizeCli(databaseUrl: string, lost?: AbortSignal): Promise<number> {
  const manifest = createRequire(import.meta.url).resolve('sequelize-cli/package.json');
  const cli = spawn(process.execPath, [join(dirname(manifest), 'lib/sequelize'), ...args], {
    cwd: packageRoot,
    stdio: 'inherit',
    env: { ...process.env, DATABASE_URL: databaseUrl },
  });
  const end = (signal: NodeJS.Signals) => cli.kill(signal);
  const onLost = () => end('SIGTERM');
  for (const signal of STOP_SIGNALS) process.on(signal, end);
  lost?.addEventListener('abort', onLost);
  try {
    const [code, signal] = (await once(cli, 'exit')) as [number | null, NodeJS.Signals | null];
    lost?.throwIfAborted();
    return code ?? 128 + constants.signals[signal ?? 'SIGTERM'];
  } finally {
    lost?.removeEventListener('abort', onLost);
    for (const signal of STOP_SIGNALS) process.off(signal, end);
  }
}
