/** Builds the service, the load tool and the page into `dist`. */
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build } from 'vite';
import { bundle, compile } from './compile.js';

const usage = 'Usage: npm run build\n\nBuilds the service, the load tool and the page into dist.';
const [option] = process.argv[1] === import.meta.filename ? process.argv.slice(2) : [];
if (option === '--help' || option === '-h') {
  console.log(usage);
  process.exit(0);
} else if (option !== undefined) {
  console.error(`Unexpected argument '${option}'.\n\n${usage}`);
  process.exit(2);
}

const root = dirname(import.meta.dirname);
const target = join(root, 'dist');
const folders = ['server', 'models', 'load'];

const compiled = await compile(target, [...folders, 'scripts/db.ts']);
const written = new Set([...compiled, ...(await bundle(target))]);
// What a removed source was compiled to must not be found any more.
for (const folder of folders)
  for (const entry of await readdir(join(target, folder), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !written.has(path)) await rm(path);
  }
await build({ configFile: join(root, 'web/vite.config.ts'), logLevel: 'warn' });
