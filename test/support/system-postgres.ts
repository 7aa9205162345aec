import { execFile } from 'node:child_process';
import { access, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { giveTo } from '../../server/database/embedded/account.ts';
import { accountsFor } from '../../server/database/embedded/accounts.ts';
import { environment } from '../../server/database/embedded/cluster.ts';
import { freePort, launch, stopPostmaster } from '../../server/database/embedded/postmaster.ts';
import { temporaryFolder } from './postgres.ts';

const run = promisify(execFile);

/** Where Debian and Ubuntu have each major version, which is not on the PATH. */
const DEBIAN = '/usr/lib/postgresql';
const ROLE = 'admin';
const PASSWORD = 'secret';

/** The system's own PostgreSQL, with the programs that npm's packages leave out: `pg_dump` refuses servers newer than itself. */
export interface SystemPostgres {
  /** The URL of a superuser, at a database. */
  url(database: string): string;
  /** Runs one of its programs, such as `pg_dump`. @throws with what it said, unless it ends with 0 */
  program(name: string, ...args: string[]): Promise<{ stdout: string; stderr: string }>;
  /** A folder of its own, for files. */
  folder: string;
  stop(): Promise<void>;
}

/** Starts the newest that is installed, on a new cluster. */
export async function startSystemPostgres(settings: Record<string, string> = {}): Promise<SystemPostgres> {
  const { bin, major } = await newest();
  const folder = await temporaryFolder();
  const found = await accountsFor(folder);
  const account = found?.named;
  // One that has a name does everything: initdb asks for it.
  const accounts = found && { ...found, server: found.named, keeper: found.named };
  await giveTo(account, folder);
  const cluster = join(folder, 'cluster');
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, PASSWORD);
  await giveTo(account, passwordFile);
  const [initdb, postgres] = [join(bin, 'initdb'), join(bin, 'postgres')];
  const options = { ...account, cwd: '/', env: environment(), timeout: 60_000 };
  const how = ['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C.UTF-8', '--no-sync'];
  await run(initdb, ['-D', cluster, '--username', ROLE, '--pwfile', passwordFile, ...how], options);
  const target = { place: folder, cluster, binaries: { initdb, postgres, version: major, major }, accounts };
  const server = await launch(
    { ...target, settings: { fsync: 'off', ...settings } },
    await freePort(),
    () => undefined,
  );
  return {
    folder,
    url: (database) => `postgres://${ROLE}:${PASSWORD}@127.0.0.1:${server.port}/${database}`,
    program: (name, ...args) =>
      run(join(bin, name), args, { ...options, env: { ...environment(), PGPASSWORD: PASSWORD } }),
    stop: async () => {
      await stopPostmaster(server.pid);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function newest(): Promise<{ bin: string; major: string }> {
  const majors = (await readdir(DEBIAN).catch(() => [])).sort((a, b) => Number(b) - Number(a));
  for (const major of majors) {
    const bin = join(DEBIAN, major, 'bin');
    const whole = ['initdb', 'postgres', 'pg_dump', 'pg_restore'].map((name) => access(join(bin, name)));
    if (
      await Promise.all(whole).then(
        () => true,
        () => false,
      )
    )
      return { bin, major };
  }
  throw new Error(
    'No PostgreSQL server of the system with its pg_dump. Install it: apt-get install postgresql',
  );
}
