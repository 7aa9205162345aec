import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { packageRoot } from '../../server/paths.ts';
import { transpile } from '../support/compiled-service.ts';

/** A change of one file's source text. `find` must occur exactly once, or the change is out of date. */
export interface Patch {
  file: string;
  find: string;
  replace: string;
}

/** A copy of the service, compiled, that nodes can be started from. */
export interface Tree {
  root: string;
  remove(): Promise<void>;
}

const COMPILED = ['server', 'models'];
const COPIED = ['migrations', 'package.json'];
const LINKED = ['node_modules', 'web', 'client'];

/**
 * Compiles the service into a temporary folder: nodes then start in a fraction of the time that loading TypeScript takes, which
 * is what a fault run spends most on. With patches it is another service, with a bug that the checker must find; the
 * server itself has no switch for that.
 * @param from where its sources are; default: here
 */
export async function buildTree(patches: readonly Patch[] = [], from = packageRoot): Promise<Tree> {
  const root = await mkdtemp(join(tmpdir(), 'tidings-tree-'));
  const pending = new Set(patches);
  const apply = (file: string, source: string) => {
    let changed = source;
    for (const patch of patches.filter((one) => one.file === file)) {
      if (changed.split(patch.find).length !== 2)
        throw new Error(`the patch of ${file} does not fit any more: ${patch.find}`);
      changed = changed.replace(patch.find, () => patch.replace);
      pending.delete(patch);
    }
    return changed;
  };
  for (const folder of COMPILED) {
    for (const file of await filesOf(join(from, folder))) {
      const name = relative(from, file);
      const target = join(root, 'dist', name.replace(/\.ts$/, '.js'));
      await mkdir(dirname(target), { recursive: true });
      if (!/\.(?:ts|js|sql)$/.test(file)) {
        await cp(file, target);
        continue;
      }
      const source = apply(name, await readFile(file, 'utf8'));
      await writeFile(target, name.endsWith('.ts') ? await compile(source, name) : source);
    }
  }
  for (const name of COPIED) await cp(join(from, name), join(root, name), { recursive: true });
  for (const patch of [...pending]) {
    const target = join(root, patch.file);
    await writeFile(target, apply(patch.file, await readFile(target, 'utf8')));
  }
  for (const name of LINKED) await symlink(join(packageRoot, name), join(root, name));
  await bundle(join(root, 'dist'));
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}

/**
 * Puts the compiled modules into a few files, as `npm run build` does: three nodes that start at once share two processors.
 * In a process of its own: Vite sets NODE_ENV.
 */
async function bundle(dist: string): Promise<void> {
  const compiler = pathToFileURL(join(packageRoot, 'scripts/compile.js')).href;
  await promisify(execFile)(process.execPath, [
    '--input-type=module',
    `--eval=import { bundle } from '${compiler}'; await bundle(...process.argv.slice(1))`,
    dist,
    join(dist, 'server/main.js'),
  ]);
}

/** The service as it was at a commit, compiled. @throws if the history here does not reach so far back */
export async function buildTreeOf(commit: string): Promise<Tree> {
  const sources = await mkdtemp(join(tmpdir(), 'tidings-sources-'));
  const run = promisify(execFile);
  try {
    const archive = join(sources, 'sources.tar');
    await run('git', ['archive', '-o', archive, commit, ...COMPILED, ...COPIED], { cwd: packageRoot });
    await run('tar', ['-xf', archive, '-C', sources]);
    return await buildTree([], sources);
  } finally {
    await rm(sources, { recursive: true, force: true });
  }
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Of the same source every tree has the same. */
const compiled = new Map<string, string>();

async function compile(source: string, fileName: string): Promise<string> {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  const text = await transpile(source, fileName);
  compiled.set(source, text);
  return text;
}
