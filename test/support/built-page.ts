import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { build } from 'vite';
import { packageRoot } from '../../server/paths.ts';

/** What the page is made of. */
const SOURCES = ['web', 'client/src', 'server/text', 'package-lock.json'];

/** The test process that looks at the build, or makes it: its id is in here. */
const LOCK = join(packageRoot, 'node_modules/.cache/tidings-page-build');
/** Between two looks at whether another process is done. Milliseconds. */
const LOOK = 50;

/** Builds the page unless a build is there that is newer than everything it is made of. Test processes take turns. */
export async function buildPage(): Promise<void> {
  await lock();
  try {
    if (!(await isBuilt())) {
      await build({ configFile: join(packageRoot, 'web/vite.config.ts'), logLevel: 'warn' });
    }
  } finally {
    await rm(LOCK);
  }
}

async function isBuilt(): Promise<boolean> {
  const built = await stat(join(packageRoot, 'dist/web/index.html')).catch(() => undefined);
  const changed = await Promise.all(SOURCES.map((source) => newestIn(join(packageRoot, source))));
  return built !== undefined && built.mtimeMs > Math.max(...changed);
}

async function lock(): Promise<void> {
  await mkdir(dirname(LOCK), { recursive: true });
  for (;;) {
    try {
      await writeFile(LOCK, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const holder = Number(await readFile(LOCK, 'utf8').catch(() => ''));
    // Nobody else removes the lock of a process that was killed.
    if (holder > 0 && !isRunning(holder)) await rm(LOCK, { force: true });
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

/** When the youngest file of a folder, or the file itself, was changed. Milliseconds since 1970. */
async function newestIn(path: string): Promise<number> {
  const info = await stat(path);
  if (!info.isDirectory()) return info.mtimeMs;
  const names = await readdir(path);
  return Math.max(...(await Promise.all(names.map((name) => newestIn(join(path, name))))));
}
