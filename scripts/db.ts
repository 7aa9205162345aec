/** Runs sequelize-cli on the service's database: `npm run db:migrate`, `npm run db:seed:all`, … */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCommandLine, UsageError } from '../server/command-line.ts';
import { addressFault } from '../server/config/connection-config.ts';
import { DatabaseUrlError } from '../server/config/database-url-error.ts';
import {
  migrate,
  MIGRATION_CONNECTIONS,
  type MigrationLog,
  migrationNames,
  undoDownTo,
  undoOne,
} from '../server/database/migrate.ts';
import { withMigrationLock } from '../server/database/migration-lock.ts';
import { requireUsableDatabase } from '../server/database/requirements.ts';
import { migrateForService, requireSameDatabase } from '../server/database/service-grants.ts';
import { refuseTransactionPooling } from '../server/database/pooler.ts';
import { packageRoot } from '../server/paths.ts';
import { main, withDatabase } from '../server/database/target.ts';
import { STOP_SIGNALS } from '../server/stop-signals.ts';

interface Command {
  does: string;
  /** What names a migration, and what it means. With this option alone the command is done here, not by sequelize-cli. */
  option?: readonly [name: 'name' | 'to', means: string];
  /** Further options of sequelize-cli. */
  others?: readonly string[];
}

/** Of npm run. */
const COMMANDS: Readonly<Record<string, Command>> = {
  'db:migrate': {
    does: 'Runs the migrations that have not been run, and replaces the SQL functions that have another text.',
    option: ['to', 'the last migration that is run; functions are not replaced then'],
    others: ['from', 'name'],
  },
  'db:migrate:status': { does: 'Lists the migrations: those that have been run (up) and the others (down).' },
  'db:migrate:undo': {
    does: 'Takes back the newest migration.',
    option: ['name', 'this migration in place of the newest'],
  },
  'db:migrate:undo:all': {
    does: 'Takes back all migrations, the newest first.',
    option: ['to', 'the last migration that is taken back'],
  },
  'db:seed:all': { does: 'Writes a few users and posts to try things out with.' },
  'db:seed:undo:all': { does: 'Removes what db:seed:all has written.' },
};
/** Options of sequelize-cli that each command has. */
const SEQUELIZE_CLI = [
  'config',
  'env',
  'migrations-path',
  'models-path',
  'options-path',
  'seeders-path',
  'url',
];

const [name = '', ...args] = process.argv.slice(2);
const { does, option, others = [] } = COMMANDS[name] ?? {};
const migrates = name.startsWith('db:migrate');

const usage =
  does === undefined
    ? `Usage: npm run COMMAND, which is ${Object.keys(COMMANDS).join(', ')}\n`
    : `Usage: npm run ${name}${option ? ` [-- --${option[0]} NAME]` : ''}

${does}
${
  option
    ? `
  --${option[0]} NAME   ${option[1]}

Each migration is one transaction with the note that it was run: it is done whole or not at all.
With other options of sequelize-cli (${[...others, ...SEQUELIZE_CLI, 'debug'].map((one) => `--${one}`).join(', ')}),
which then runs the command, it is not.
`
    : ''
}`;

/** The migration that is named, and whether sequelize-cli is to run the command. */
function readOptions(): { named: string | undefined; isOurs: boolean } {
  if (does === undefined) throw new UsageError(name === '' ? '' : `There is no command '${name}'`);
  const known = [...(option ? [option[0]] : []), ...others, ...SEQUELIZE_CLI];
  const { values } = parseArgs({
    args,
    options: {
      ...Object.fromEntries(known.map((one) => [one, { type: 'string' as const }])),
      debug: { type: 'boolean' },
    },
  });
  const given = new Map<string, unknown>(Object.entries(values));
  const named = option && given.get(option[0]);
  const isOurs = option !== undefined && given.size === (named === undefined ? 0 : 1);
  if (typeof named !== 'string') return { named: undefined, isOurs };
  if (isOurs && !migrationNames().includes(named)) throw new UsageError(`There is no migration '${named}'`);
  return { named, isOurs };
}

await main(() => {
  const { named, isOurs } = readCommandLine(usage, readOptions);
  return withDatabase(async (serviceUrl) => {
    // What changes the schema is done by the role that owns it.
    const migrationUrl = process.env.MIGRATION_DATABASE_URL ?? '';
    const apart = migrationUrl !== '' && migrates;
    if (apart) {
      const fault = addressFault(migrationUrl, 'MIGRATION_DATABASE_URL');
      if (fault !== undefined) throw new DatabaseUrlError(fault);
      await refuseTransactionPooling(migrationUrl, { variable: 'MIGRATION_DATABASE_URL' });
      await requireSameDatabase(migrationUrl, serviceUrl);
    }
    const databaseUrl = apart ? migrationUrl : serviceUrl;
    if (name === 'db:migrate' || name === 'db:seed:all')
      await requireUsableDatabase(databaseUrl, MIGRATION_CONNECTIONS);
    if (isOurs && name === 'db:migrate') {
      // As a node does at its start: in short tries, which stop no running node.
      const log: MigrationLog = (message, extra) => console.log(message, extra ?? '');
      const to = named === undefined ? {} : { to: named };
      const names = await (apart
        ? migrateForService(migrationUrl, serviceUrl, log, to)
        : migrate(databaseUrl, log, to));
      if (names.length === 0) console.log('No migrations were pending.');
      return 0;
    }
    if (isOurs) {
      const names = await (name === 'db:migrate:undo'
        ? undoOne(databaseUrl, named)
        : undoDownTo(databaseUrl, named));
      console.log(names.length === 0 ? 'No migrations were run.' : `Taken back: ${names.join(', ')}`);
      return 0;
    }
    // A node that boots at this moment migrates too.
    return migrates && name !== 'db:migrate:status'
      ? withMigrationLock(databaseUrl, console.error, ({ lost }) => sequelizeCli(databaseUrl, lost))
      : sequelizeCli(databaseUrl);
  });
});

/** It ends before this process does, also at a signal, so that it changes nothing without the lock. @param lost ends it */
async function sequelizeCli(databaseUrl: string, lost?: AbortSignal): Promise<number> {
  const manifest = createRequire(import.meta.url).resolve('sequelize-cli/package.json');
  const cli = spawn(process.execPath, [join(dirname(manifest), 'lib/sequelize'), name, ...args], {
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
