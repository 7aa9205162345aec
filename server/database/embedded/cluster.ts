import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Account, giveTo, giveTreeTo } from './account.ts';
import type { Accounts } from './accounts.ts';
import { type Binaries } from './binaries.ts';
import { writePassword } from './password.ts';
import { EmbeddedUnavailable, USE_DATABASE_URL } from './unavailable.ts';

const run = promisify(execFile);

/** The superuser of the cluster. */
export const ADMIN_ROLE = 'tidings';

/** Where its password is, in the folder of the embedded database. */
export const ADMIN_PASSWORD = 'password';

const SECONDS = 1000;

/**
 * Makes the cluster in `<place>/cluster` unless it is there. initdb works in `cluster.new-…`, and only what it finished is
 * renamed: a `cluster` is always whole, a `cluster.new-…` never holds data, so what a crash left of it can go. Each attempt has
 * a name of its own, since the initdb of a killed process may still be writing.
 */
export async function ensureCluster(
  place: string,
  binaries: Binaries,
  accounts: Accounts | undefined,
  durable: boolean,
): Promise<string> {
  const cluster = join(place, 'cluster');
  const major = await majorOf(cluster);
  if (major === binaries.major) return cluster;
  if (major !== undefined) {
    throw new EmbeddedUnavailable(
      `The database in ${cluster} was made by PostgreSQL ${major}, and this version of Tidings brings PostgreSQL ` +
        `${binaries.major}, which can't read it. Dump it with the version that made it and restore it here ` +
        `(or set DATA_DIR to another directory to begin afresh). ${USE_DATABASE_URL}`,
    );
  }

  await removeAttempts(place);
  const fresh = join(place, `${ATTEMPT}${randomBytes(4).toString('hex')}`);
  await mkdir(fresh, { mode: 0o700 });
  const passwordFile = await writePassword(place, accounts?.named, randomPassword(), ADMIN_PASSWORD);
  const args = [
    ...['-D', fresh, '--username', ADMIN_ROLE, '--pwfile', passwordFile],
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C'],
    ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--no-instructions'],
    ...(durable ? [] : ['--no-sync']),
  ];
  try {
    await withName(accounts, fresh, (account) =>
      run(binaries.initdb, args, { ...account, cwd: '/', env: environment(), timeout: 120 * SECONDS }),
    );
    await giveTo(accounts?.keeper, passwordFile);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new EmbeddedUnavailable(
      `initdb could not make a database in ${fresh}: ${(stderr ?? String(error)).trim()} ${USE_DATABASE_URL}`,
      { cause: error },
    );
  }
  // An empty folder in the way is harmless, anything else is not ours to judge.
  await rmdir(cluster).catch(() => undefined);
  await rename(fresh, cluster).catch((error: unknown) => {
    throw new EmbeddedUnavailable(
      `${cluster} is in the way: it holds no PostgreSQL cluster, yet it is not empty.`,
      {
        cause: error,
      },
    );
  });
  if (durable) await syncFolder(place);
  return cluster;
}

const ATTEMPT = 'cluster.new-';

async function removeAttempts(place: string): Promise<void> {
  for (const name of await readdir(place)) {
    if (!name.startsWith(ATTEMPT)) continue;
    // Its initdb may be adding files at this moment; it fails when they are gone, and the rest goes at the next start.
    await rm(join(place, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

/**
 * Gives the cluster a new password in PostgreSQL's single-user mode, which asks for none: who may write the files may do so.
 * The server must not be running.
 */
export async function resetPassword(
  place: string,
  binaries: Binaries,
  accounts: Accounts | undefined,
): Promise<string> {
  const password = randomPassword();
  const cluster = join(place, 'cluster');
  await withName(accounts, cluster, (account) => {
    const single = run(binaries.postgres, ['--single', '-D', cluster, 'postgres'], {
      ...account,
      cwd: '/',
      env: environment(),
      timeout: 120 * SECONDS,
    });
    single.child.stdin?.end(`alter role "${ADMIN_ROLE}" password '${password}'\n`);
    return single;
  });
  // Only now: were this cut short, the file would still be missing and the next start would do it again.
  await writePassword(place, accounts?.keeper, password, ADMIN_PASSWORD);
  return password;
}

/**
 * Runs a program that looks up the name of its user, which an account of the cluster's own has not. It works on the cluster as
 * an account that has one, in the group of the cluster's: only that group gets into the folder around it, and the kernel lets
 * processes of the same user and other groups neither look into the program nor trace it. Cut short, the cluster
 * is given back at the next start, as one from an earlier version is.
 */
async function withName<T>(
  accounts: Accounts | undefined,
  cluster: string,
  work: (account: Account | undefined) => Promise<T>,
): Promise<T> {
  if (accounts === undefined || accounts.named.uid === accounts.server.uid) {
    await giveTo(accounts?.server, cluster);
    return work(accounts?.named);
  }
  await giveTreeTo(accounts.named, cluster);
  const result = await work(accounts.named);
  await giveTreeTo(accounts.server, cluster);
  return result;
}

/** What PostgreSQL's programs see of the environment: no PG* variable and no locale of ours gets in. */
export function environment(): NodeJS.ProcessEnv | undefined {
  return process.platform === 'win32' ? undefined : { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };
}

function randomPassword(): string {
  return randomBytes(24).toString('hex');
}

async function majorOf(cluster: string): Promise<string | undefined> {
  const text = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => undefined);
  return text?.trim();
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32' || !(await stat(folder)).isDirectory()) return;
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
