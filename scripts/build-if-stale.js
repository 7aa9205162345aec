/** Builds for `npm start`, unless the last build is newer than everything that it was made of. */
import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
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
  try {
    await import('./build.js');
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' && !/native binding/i.test(error.message)) throw error;
    // npm leaves out what is optional without a word where Node is not one that it names.
    console.error(
      `The build lacks a package: ${error.message}\n` +
        'Install with Node 20.19, 22.12 or later, and without --omit=optional.',
    );
    process.exit(1);
  }
  writeFileSync(stamp, `${began.toISOString()}\n`);
  // What changed during the build may not be in it.
  utimesSync(stamp, began, began);
}
