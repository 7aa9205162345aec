import { spawnSync } from 'node:child_process';
import { lchown, mkdtemp, readFile, realpath, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../async/make-folder.ts';
import type { Account } from './account.ts';
import { lastClaimant } from './owner.ts';
import { freeAccount } from './own-account.ts';
import { EmbeddedUnavailable, USE_DATABASE_URL } from './unavailable.ts';

/** The accounts of an embedded database that root starts: PostgreSQL refuses to run as root. */
export interface Accounts {
  /** Runs PostgreSQL and owns the cluster. */
  server: Account;
  /** Runs initdb and PostgreSQL's single-user mode, which look up the name of their user. In the group of `server`. */
  named: Account;
  /** Owns what only this process needs: the passwords, the log, the claims. */
  keeper: Account;
  /** Why `server` is an account that other programs may use too; undefined if it is the cluster's own or its owner's. */
  shared?: string;
}

interface PasswdEntry extends Account {
  name: string;
}

/** Accounts that versions before this one ran PostgreSQL as, and that still do where no account of its own can be had. */
const LENT = ['postgres', 'nobody'];

/**
 * The accounts for `<dataDir>/postgres`, by who owns the cluster in it: its owner is the only record.
 *
 * - A cluster of a user who has run Tidings himself stays his.
 * - Every other cluster has an account of its own: a uid and gid without an entry and without another process
 *   (`own-account.ts`). One that an earlier version ran as `postgres` or `nobody` for root is given to it.
 * - Where this process can't give files to such an account or become it, `postgres` or `nobody` runs the server.
 *
 * Undefined: we are not root, and PostgreSQL runs as ourselves.
 */
export async function accountsFor(dataDir: string): Promise<Accounts | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  await makeFolder(dataDir);
  const link = join(await realpath(dataDir), 'postgres');
  const place = await realpath(link).catch(() => undefined);
  const owner = place === undefined ? undefined : await stat(join(place, 'cluster')).catch(() => stat(place));
  const entries = await passwd();

  const user = entries.find(({ uid }) => uid !== 0 && uid === owner?.uid);
  if (user && !(LENT.includes(user.name) && (await isLent(dataDir, place, user)))) return alone(user);

  const lent = LENT.map((name) => entries.find((entry) => entry.name === name)).find(Boolean);
  if (lent === undefined) {
    throw new EmbeddedUnavailable(
      'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" to make its database as. ' +
        `Start Tidings as a normal user, or create one of them. ${USE_DATABASE_URL}`,
    );
  }
  const own = await freeAccount(link, owner);
  const fault =
    own === undefined
      ? 'no uid from 60706 to 61183 is known to be free'
      : await faultOf(own, place ?? dataDir);
  if (own === undefined || fault !== undefined) return sharedAccounts(lent, fault ?? '');
  return { server: own, named: { uid: lent.uid, gid: own.gid }, keeper: { uid: 0, gid: own.gid } };
}

/** Why the cluster under `<dataDir>/postgres` runs as an account that other programs may use too; undefined if it does not. */
export async function sharedAccountReason(dataDir: string): Promise<string | undefined> {
  const cluster = await stat(join(dataDir, 'postgres', 'cluster')).catch(() => undefined);
  if (cluster === undefined) return undefined;
  const accounts = await accountsFor(dataDir);
  if (accounts === undefined || accounts.shared !== undefined || cluster.uid === accounts.server.uid)
    return accounts?.shared;
  return sharedAccounts(cluster, 'the log of its start says why').shared;
}

/** @param reason why the cluster can't have an account of its own */
export function sharedAccounts({ uid, gid }: Account, reason: string): Accounts {
  return {
    ...alone({ uid, gid }),
    shared: `PostgreSQL runs as uid ${uid}, which other programs may use too, since it can't have an account of its own: ${reason}.`,
  };
}

function alone({ uid, gid }: Account): Accounts {
  const account = { uid, gid };
  return { server: account, named: account, keeper: account };
}

/** Whether it was root who ran the cluster as this user last, and not the user himself. */
async function isLent(dataDir: string, place: string | undefined, user: Account): Promise<boolean> {
  const { uid } = await stat(dataDir);
  return place !== undefined && uid !== user.uid && (await lastClaimant(place)) === 0;
}

/** Why this process can't run a server as `account` on files in `folder`: capabilities, a user namespace, a file system. */
async function faultOf(account: Account, folder: string): Promise<string | undefined> {
  const trial = await mkdtemp(join(folder, '.account-'));
  try {
    await lchown(trial, account.uid, account.gid);
  } catch (error) {
    return `files can't be given to uid ${account.uid} (${(error as NodeJS.ErrnoException).code ?? ''})`;
  } finally {
    await rmdir(trial);
  }
  const { error } = spawnSync('/bin/sh', ['-c', ':'], {
    ...account,
    cwd: '/',
    stdio: 'ignore',
    timeout: 10_000,
  });
  return error && `no process can run as uid ${account.uid} (${(error as NodeJS.ErrnoException).code ?? ''})`;
}

async function passwd(): Promise<PasswdEntry[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line.includes(':') && !line.startsWith('#'))
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 }));
}
