import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

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
