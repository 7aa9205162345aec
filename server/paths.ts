import { existsSync, readFileSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/**
 * The folder that holds package.json, migrations/ and web/. Found by walking up, since the distance differs:
 * this file runs as server/paths.ts under tsx and as dist/server/paths.js after the build.
 */
export const packageRoot: string = findPackageRoot(import.meta.dirname);

function findPackageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string };
      if (name === 'tidings') return folder;
    }
    if (folder === dirname(folder)) throw new Error(`No package.json of "tidings" above ${from}`);
  }
}

/**
 * Makes a folder, and those above it that are missing. Node's own way (`recursive`) never returns where a folder is there
 * and refuses another one as if it were not, as /proc does.
 * @param mode of those that are made
 * @throws a system error, also if a file is in the way
 */
export async function makeFolder(path: string, mode?: number): Promise<void> {
  const folder = resolve(path);
  try {
    await mkdir(folder, { mode });
  } catch (error) {
    if (await isFolder(folder)) return;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || (await isFolder(dirname(folder)))) throw error;
    await makeFolder(dirname(folder), mode);
    await makeFolder(folder, mode);
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (state) => state.isDirectory(),
    () => false,
  );
}
