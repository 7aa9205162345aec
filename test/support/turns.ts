import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../server/paths.ts';

const CACHE = join(packageRoot, 'node_modules/.cache');
/** Between two looks at whether another process is done. Milliseconds. */
const LOOK = 50;

/**
 * Runs something in one test process at a time: what it makes is in one place for all of them.
 * @param name of the file that has the id of the process whose turn it is
 */
export async function inTurn<T>(name: string, run: () => Promise<T>): Promise<T> {
  const lock = join(CACHE, name);
  await take(lock);
  try {
    return await run();
  } finally {
    await rm(lock);
  }
}

async function take(lock: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  for (;;) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const holder = Number(await readFile(lock, 'utf8').catch(() => ''));
    // Nobody else removes the lock of a process that was killed.
    if (holder > 0 && !isRunning(holder)) await rm(lock, { force: true });
    await delay(LOOK);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
