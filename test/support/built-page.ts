import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';
import { packageRoot } from '../../server/paths.ts';
import { inTurn } from './turns.ts';

/** What the page is made of. */
const SOURCES = ['web', 'client/src', 'server/text', 'package-lock.json'];

/** Builds the page unless a build is there that is newer than everything it is made of. Test processes take turns. */
export function buildPage(): Promise<void> {
  return inTurn('tidings-page-build', async () => {
    if (await isBuilt()) return;
    await build({ configFile: join(packageRoot, 'web/vite.config.ts'), logLevel: 'warn' });
  });
}

async function isBuilt(): Promise<boolean> {
  const built = await stat(join(packageRoot, 'dist/web/index.html')).catch(() => undefined);
  const changed = await Promise.all(SOURCES.map((source) => newestIn(join(packageRoot, source))));
  return built !== undefined && built.mtimeMs > Math.max(...changed);
}

/** When the youngest file of a folder, or the file itself, was changed. Milliseconds since 1970. */
async function newestIn(path: string): Promise<number> {
  const info = await stat(path);
  if (!info.isDirectory()) return info.mtimeMs;
  const names = await readdir(path);
  return Math.max(...(await Promise.all(names.map((name) => newestIn(join(path, name))))));
}
