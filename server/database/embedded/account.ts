import { spawnSync } from 'node:child_process';
import { constants } from 'node:fs';
import { lchown, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** An account of the operating system. */
export interface Account {
  uid: number;
  gid: number;
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

/** Gives a file or a folder, and not what is in it, to an account. Undefined: everything belongs to ourselves already. */
export async function giveTo(account: Account | undefined, path: string): Promise<void> {
  if (account !== undefined) await lchown(path, account.uid, account.gid);
}

/**
 * Gives a folder and all that is in it to an account, the folder itself last: its owner says whether all of it was given.
 *
 * Who owned it may have filled it and may still be at work in it, and we are root. So no symbolic link is followed, also none
 * that takes a folder's place meanwhile, and a second name of a file that is root's elsewhere is left alone.
 */
export async function giveTreeTo(account: Account | undefined, folder: string): Promise<void> {
  if (account === undefined) return;
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const handle = await open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    // Linux has no `openat` for Node, but a path through an open folder, which stays that folder.
    const here = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : folder;
    for (const entry of await readdir(here, { withFileTypes: true })) {
      const path = join(here, entry.name);
      if (entry.isDirectory()) {
        await giveTreeTo(account, path);
        continue;
      }
      const { nlink, uid } = await lstat(path);
      if (nlink === 1 || uid !== 0) await giveTo(account, path);
    }
    await handle.chown(account.uid, account.gid);
  } finally {
    await handle.close();
  }
}
