import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { makeFolder } from '../async/make-folder.ts';
import type { FastPath, FastPaths } from './fast-paths.ts';
import { useOnlyDocumented } from './postgres.ts';

/** How long the self-check may take. Milliseconds. */
const LIMIT = 30_000;

/** What can be tried: the fast paths, and what is used of `pg`. */
export type Checked = FastPath | 'pg';

/** What the thread says after each that it has tried. */
export interface Verdict {
  name: Checked;
  /** What was wrong; undefined if it does what it should. */
  fault: string | undefined;
}

export interface SelfCheckData {
  names: readonly Checked[];
  /** A module that the thread loads first: tests change the libraries with it. */
  preload: string | undefined;
}

/**
 * Tries what is used of libraries beyond their documentation, on a server with connections. In a thread of its own,
 * since what a library does during its own events, if it is not as expected, would throw where nobody can catch it.
 * @returns what was wrong, by the name; those that could not be tried are among them
 */
export function selfCheck(
  names: readonly Checked[],
  preload?: string,
): Promise<ReadonlyMap<Checked, string>> {
  const open = new Set(names);
  const faults = new Map<Checked, string>();
  return new Promise((resolve) => {
    const thread = new Worker(program(), {
      eval: true,
      workerData: { names, preload } satisfies SelfCheckData,
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    });
    const end = (reason: string) => {
      clearTimeout(timer);
      for (const name of open) faults.set(name, reason);
      open.clear();
      resolve(faults);
      void thread.terminate();
    };
    const timer = setTimeout(() => end(`the self-check did not end within ${LIMIT / 1000} s`), LIMIT);
    thread.on('message', ({ name, fault }: Verdict) => {
      open.delete(name);
      if (fault !== undefined) faults.set(name, fault);
      if (open.size === 0) end('');
    });
    thread.on('error', (error) => end(describe(error)));
    thread.on('exit', () => end('the self-check ended early'));
  });
}

/** What the thread runs. Under tsx it needs the loader of TypeScript, which tsx gives to the main thread alone. */
function program(): string {
  const extension = extname(import.meta.filename);
  const main = new URL(`./self-check-thread${extension}`, import.meta.url);
  const load = `import(${JSON.stringify(main.href)})`;
  if (extension !== '.ts') return load;
  const loader = createRequire(import.meta.url)
    .resolve('tsx/esm/api')
    .replace(/\.cjs$/, '.mjs');
  return `import(${JSON.stringify(pathToFileURL(loader).href)}).then(({ register }) => {
    register();
    return ${load};
  });`;
}

/** The libraries do not change while the process runs: one check is enough for all services in it. */
const checks = new Map<string, ReturnType<typeof selfCheck>>();

/** In the folder of the service's data: which libraries have been found to be as expected. */
const RECORD = 'checked-libraries.json';

/**
 * Begins the check that `verify` waits for. It takes as much CPU time as the rest of a start, so libraries that were as
 * expected are not tried again until one of their files changes, or Node does.
 * @param folder of the service's data; without it they are tried
 */
export function beginCheck(wanted: readonly FastPath[], folder?: string): ReturnType<typeof selfCheck> {
  const names: Checked[] = ['pg', ...wanted];
  const check = checks.get(names.join()) ?? checkUnlessRecorded(names, folder);
  checks.set(names.join(), check);
  return check;
}

async function checkUnlessRecorded(
  names: readonly Checked[],
  folder: string | undefined,
): ReturnType<typeof selfCheck> {
  if (folder === undefined) return selfCheck(names);
  const file = join(folder, RECORD);
  const state = recordOf(names);
  if (state !== undefined && (await readFile(file, 'utf8').catch(() => '')) === state) return new Map();
  const faults = await selfCheck(names);
  // Where nothing can be written each start tries them.
  if (faults.size === 0 && state !== undefined)
    await makeFolder(folder)
      .then(() => writeFile(file, state))
      .catch(() => undefined);
  return faults;
}

/**
 * What has been tried, as far as it can be told from outside; undefined where that is not known: a package is elsewhere, a
 * file cannot be looked at, or something that is loaded first may change the libraries.
 */
function recordOf(names: readonly Checked[]): string | undefined {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (/(?:^|\s)(?:-r|--require|--import|--(?:experimental-)?loader)\b/.test(given)) return undefined;
  const folders = [...LIBRARIES, ...THEIRS].map(folderOf);
  if (folders.includes(undefined)) return undefined;
  try {
    const states = [import.meta.dirname, ...folders.flatMap((one) => one ?? [])].map((one) => [
      one,
      stateOf(one),
    ]);
    return JSON.stringify([names, process.version, process.arch, given, libraryVersions(), states]);
  } catch {
    return undefined;
  }
}

/** The number of scripts in a folder, their bytes, and when the youngest was changed. */
function stateOf(folder: string): number[] {
  const stats = scriptsIn(folder).map((path) => statSync(path));
  const bytes = stats.reduce((sum, { size }) => sum + size, 0);
  return [stats.length, bytes, Math.max(0, ...stats.map(({ mtimeMs }) => mtimeMs))];
}

function scriptsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return scriptsIn(path);
    return /\.(?:[cm]?js|json|ts)$/.test(entry.name) ? [path] : [];
  });
}

/**
 * Does without what does not do what it should with the libraries that are installed.
 * @param onDriverFault called if that is something of `pg`
 */
export async function verify(
  fastPaths: FastPaths,
  wanted: readonly FastPath[],
  onDriverFault: (error: unknown) => void,
): Promise<void> {
  const check = beginCheck(wanted);
  const fail = (name: Checked, error: unknown) => {
    if (name !== 'pg') fastPaths.fail(name, error);
    else {
      useOnlyDocumented();
      onDriverFault(error);
    }
  };
  try {
    for (const [name, fault] of await check) fail(name, new Error(fault));
  } catch (error) {
    // No thread could be started.
    for (const name of ['pg', ...wanted] as const) fail(name, error);
  }
}

const LIBRARIES = ['socket.io', 'engine.io', 'socket.io-parser', 'socket.io-adapter', 'ws', 'pg'] as const;
/** What these are made of, which is tried with them. */
const THEIRS = ['engine.io-parser', 'pg-pool', 'pg-protocol'];

/** The versions of the libraries whose internals are used, as they are installed. */
export function libraryVersions(): Record<string, string> {
  return Object.fromEntries(LIBRARIES.map((name) => [name, versionOf(name)]));
}

function versionOf(name: string): string {
  const folder = folderOf(name);
  if (folder === undefined) return 'unknown';
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}

/** Where a package is: not every one of them lets its package.json be imported. */
function folderOf(name: string): string | undefined {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(join(path, 'package.json')));
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
