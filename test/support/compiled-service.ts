import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../server/paths.ts';

/**
 * The service compiled once for all test processes, as `npm run build` does it: a process that loads TypeScript takes
 * twice the CPU time until it is ready. It is kept by the content of its sources under `node_modules`, so that packages,
 * migrations and the page are found as by `npm start`.
 */
const CACHE = join(packageRoot, 'node_modules/.cache/tidings-tests');
const COMPILED = ['server', 'models'];
const COMPILER = join(packageRoot, 'scripts/compile.js');

let compiled: string | undefined;

/** The path of a program of the service, such as `server/main.ts`, in compiled form. */
export function compiledProgram(source: string): string {
  compiled ??= compileService();
  return join(compiled, source.replace(/\.ts$/, '.js'));
}

/** @returns the folder of the compiled sources */
function compileService(): string {
  const hash = createHash('sha256').update(readFileSync(COMPILER));
  for (const folder of COMPILED)
    for (const entry of readdirSync(join(packageRoot, folder), { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name);
      if (entry.isFile()) hash.update(`${file}\0`).update(readFileSync(file));
    }
  const folder = join(CACHE, hash.digest('hex').slice(0, 16));
  if (existsSync(folder)) return folder;
  // Several test processes may come at once: each compiles by itself, and anyone who is first is taken.
  const own = `${folder}-${randomUUID()}`;
  const { status, stderr } = spawnSync(process.execPath, [COMPILER, own, ...COMPILED], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`The service cannot be compiled: ${stderr}`);
  try {
    renameSync(own, folder);
  } catch {
    rmSync(own, { recursive: true });
  }
  return folder;
}

/**
 * One file of TypeScript as JavaScript, without a source map.
 * @param fileName its path in the checkout
 */
export async function transpile(source: string, fileName: string): Promise<string> {
  // Loaded only when something is to be compiled: it takes a second.
  const { transformWithOxc } = await import('vite');
  const { code } = await transformWithOxc(source, join(packageRoot, fileName), {
    sourcemap: false,
    typescript: { rewriteImportExtensions: 'rewrite' },
  });
  return code;
}
