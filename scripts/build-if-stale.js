/** Builds for `npm start`, unless the last build is newer than everything that it was made of. */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
const sources = ['server', 'models', 'client/src', 'web', 'scripts', 'package.json', 'package-lock.json'];
const settings = ['tsconfig.json'];
const stamp = join(root, 'dist/.built');

function modifiedAt(path) {
  const state = statSync(path, { throwIfNoEntry: false });
  if (!state) return 0;
  if (!state.isDirectory()) return state.mtimeMs;
  // A folder's own time tells of files that were added or removed.
  return readdirSync(path).reduce(
    (latest, name) => Math.max(latest, modifiedAt(join(path, name))),
    state.mtimeMs,
  );
}

const built = modifiedAt(stamp);
if (built === 0 || [...sources, ...settings].some((path) => modifiedAt(join(root, path)) > built)) {
  const began = new Date();
  await import('./build.js');
  writeFileSync(stamp, `${began.toISOString()}\n`);
}
