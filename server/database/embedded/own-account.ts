import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Account } from './account.ts';

const run = promisify(execFile);

/** uids and gids that Linux distributions and systemd use for nothing: https://systemd.io/UIDS-GIDS/ */
const FIRST = 60_706;
const LAST = 61_183;
const COUNT = LAST - FIRST + 1;

/**
 * An account that belongs to nothing else on this machine: no user, group or range of subordinate ids has its number, and no
 * process runs as it. No entry is made for it. Which one it is follows from the path, so that installations differ.
 * @param path of the database's folder
 * @param kept the owner of the cluster: kept if it is such an account, also while processes run as it (its server does)
 * @returns undefined if all are taken, or on a platform where that can't be known
 */
export async function freeAccount(path: string, kept: Account | undefined): Promise<Account | undefined> {
  if (process.platform !== 'linux') return undefined;
  const taken = await takenIds();
  const isFree = async (id: number) => !taken(id) && !(await hasEntry(id));
  if (kept && kept.uid >= FIRST && kept.uid <= LAST && (await isFree(kept.uid)))
    return { uid: kept.uid, gid: kept.uid };
  const running = await runningUsers();
  const start = createHash('sha256').update(path).digest().readUInt32BE() % COUNT;
  for (let step = 0; step < COUNT; step += 1) {
    const id = FIRST + ((start + step) % COUNT);
    if (!running.has(id) && (await isFree(id))) return { uid: id, gid: id };
  }
  return undefined;
}

/** Whether an id is in the files of users and groups, or in a range that a user may map into containers. */
async function takenIds(): Promise<(id: number) => boolean> {
  const [users, groups, ...ranges] = await Promise.all(
    ['/etc/passwd', '/etc/group', '/etc/subuid', '/etc/subgid'].map(async (file) =>
      (await readFile(file, 'utf8').catch(() => '')).split('\n').map((line) => line.split(':')),
    ),
  );
  const ids = new Set([...(users ?? []), ...(groups ?? [])].flatMap(([, , id]) => (id ? [Number(id)] : [])));
  for (const [, , , gid] of users ?? []) if (gid) ids.add(Number(gid));
  return (id) =>
    ids.has(id) ||
    ranges.flat().some(([, first, count]) => id >= Number(first) && id < Number(first) + Number(count));
}

/** Whether a directory service (LDAP, sssd, systemd) knows the id, which no file tells. */
async function hasEntry(id: number): Promise<boolean> {
  for (const database of ['passwd', 'group']) {
    try {
      await run('getent', [database, String(id)], { timeout: 5_000 });
      return true;
    } catch {
      // Not found, or there is nothing to ask.
    }
  }
  return false;
}

/** Real, effective, saved and file system users of all processes. */
async function runningUsers(): Promise<Set<number>> {
  const users = new Set<number>();
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
    for (const id of /^Uid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? []) users.add(Number(id));
  }
  return users;
}
