import { spawnSync } from 'node:child_process';
import { lchown, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedUnavailable, USE_DATABASE_URL } from './unavailable.ts';

/** The operating system account that PostgreSQL runs under. */
export interface Account {
  uid: number;
  gid: number;
}

interface PasswdEntry extends Account {
  name: string;
}

/**
 * PostgreSQL refuses to run as root, so root lends it another account: that of who owns the data already (somebody ran
 * Tidings as a normal user before), else `postgres`, else `nobody`. Always one with a passwd entry: initdb looks it up.
 * Undefined: we are not root, and PostgreSQL runs as ourselves.
 */
export async function accountFor(dataFolder: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const entries = await passwd();
  const owner = await stat(dataFolder).catch(() => undefined);
  const account =
    entries.find((entry) => entry.uid !== 0 && entry.uid === owner?.uid) ??
    entries.find((entry) => entry.name === 'postgres') ??
    entries.find((entry) => entry.name === 'nobody');
  if (account === undefined) {
    throw new EmbeddedUnavailable(
      'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" to run it as. ' +
        `Start Tidings as a normal user, or create one of them. ${USE_DATABASE_URL}`,
    );
  }
  return { uid: account.uid, gid: account.gid };
}

async function passwd(): Promise<PasswdEntry[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line.includes(':') && !line.startsWith('#'))
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 }));
}

/** Whether the account can get into the folder. Asked of the kernel: modes alone don't tell with ACLs and mounts. */
export function canEnter(account: Account, folder: string): boolean {
  const probe = spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], {
    ...account,
    cwd: '/',
    stdio: 'ignore',
    timeout: 10_000,
  });
  return probe.status === 0;
}

export async function giveTo(account: Account | undefined, path: string): Promise<void> {
  if (account !== undefined) await lchown(path, account.uid, account.gid);
}

export async function giveTreeTo(account: Account | undefined, folder: string): Promise<void> {
  if (account === undefined) return;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    await giveTo(account, join(entry.parentPath, entry.name));
  }
  await giveTo(account, folder); // last: were this cut short, the folder's owner would still ask for it again
}
