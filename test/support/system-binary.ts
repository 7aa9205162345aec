import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Git ignores it; deleting it costs one download. */
const CACHE = join(import.meta.dirname, '../../.cache/binaries');

/** A server that the tests need and no npm package carries. */
export interface Wanted {
  /** Any of these programs will do; the first that is found is taken. */
  names: string[];
  /** The Debian packages that hold the program itself; what they depend on is found out. */
  packages: string[];
  /** What a person types where nothing can be fetched. */
  hint: string;
}

export interface Binary {
  path: string;
  /** Environment to start it with: a private copy finds its shared libraries through it. */
  env: NodeJS.ProcessEnv;
}

/**
 * Finds a program on the PATH, or fetches a private copy of its Debian package without being root: apt with its
 * state in our own folder, unpacked and never installed. Throws with the one line to type, so that a test which
 * needs the program fails rather than skips.
 */
export async function systemBinary(wanted: Wanted, env: NodeJS.ProcessEnv = process.env): Promise<Binary> {
  const installed = await onPath(wanted.names, env);
  if (installed) return { path: installed, env };

  const names = wanted.names.join(' or ');
  if (!(await onPath(['apt-get']))) throw new Error(`No ${names} on the PATH. ${wanted.hint}`);
  try {
    return await privateCopy(wanted, env);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`No ${names} on the PATH, and no private copy: ${reason}\n${wanted.hint}`, { cause });
  }
}

async function onPath(names: string[], env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  // Debian keeps servers in sbin, which is not on a normal user's PATH; an empty PATH stays empty.
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  if (folders.includes('/usr/bin')) folders.push('/usr/sbin');
  return firstExecutable(folders, names);
}

async function firstExecutable(folders: string[], names: string[]): Promise<string | undefined> {
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name);
      const executable = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (executable) return path;
    }
  }
  return undefined;
}

/** Several test processes may want it at once: each unpacks into its own folder and the first rename wins. */
async function privateCopy(wanted: Wanted, env: NodeJS.ProcessEnv): Promise<Binary> {
  const home = join(CACHE, `${wanted.packages.join('+')}-${arch()}`);
  const cached = await unpackedBinary(home, wanted, env).catch(() => undefined);
  if (cached) return cached;

  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'fetch-'));
  try {
    const root = join(work, 'root');
    await fetchPackages(work, root, wanted.packages);
    await unpackedBinary(root, wanted, env);
    await rm(home, { recursive: true, force: true }); // there, but not usable: a copy of another system
    await rename(root, home).catch((error: unknown) => {
      const lostTheRace = error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY';
      if (!lostTheRace) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return unpackedBinary(home, wanted, env);
}

/** The program under `root`, proven to find every shared library. */
async function unpackedBinary(root: string, wanted: Wanted, env: NodeJS.ProcessEnv): Promise<Binary> {
  const path = await firstExecutable([join(root, 'usr/bin'), join(root, 'usr/sbin')], wanted.names);
  if (!path) throw new Error(`${wanted.packages.join(', ')} held no ${wanted.names.join(' or ')}`);

  const libraries = [join(root, 'usr/lib'), join(root, 'lib')];
  for (const folder of [...libraries]) {
    const triplets = await readdir(folder).catch(() => []);
    libraries.push(...triplets.filter((name) => name.includes('-linux-')).map((name) => join(folder, name)));
  }
  const withLibraries = { ...env, LD_LIBRARY_PATH: libraries.join(delimiter) };
  const { stdout } = await run('/usr/bin/ldd', [path], {
    env: { ...withLibraries, PATH: process.env.PATH },
  });
  const missing = stdout.split('\n').filter((line) => line.includes('not found'));
  if (missing.length > 0) throw new Error(`it lacks ${missing.map((line) => line.trim()).join(', ')}`);
  return { path, env: withLibraries };
}

async function fetchPackages(work: string, root: string, packages: string[]): Promise<void> {
  const config = await privateApt(work);
  const apt = (command: string, ...args: string[]) =>
    run(command, args, {
      cwd: work,
      env: { ...process.env, APT_CONFIG: config, LC_ALL: 'C' },
      timeout: 90_000,
    });

  await apt('apt-get', '-qq', 'update');
  const { stdout } = await apt('apt-cache', '--no-recommends', '--no-suggests', 'depends', ...packages);
  const dependencies = [...stdout.matchAll(/^ +(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)$/gm)].map(
    (match) => match[1] ?? '',
  );
  const missing = await notInstalled(dependencies);
  await apt('apt-get', '-qq', 'download', ...new Set([...packages, ...missing]));
  for (const file of await readdir(work)) {
    if (file.endsWith('.deb')) await run('dpkg', ['-x', join(work, file), root]);
  }
}

/** Lists, cache and locks in a folder of our own; the sources and keys stay the system's. */
async function privateApt(work: string): Promise<string> {
  const path = join(work, 'apt.conf');
  await mkdir(join(work, 'state/lists/partial'), { recursive: true });
  await mkdir(join(work, 'cache/archives/partial'), { recursive: true });
  const lines = [
    `Dir::State "${join(work, 'state')}";`,
    'Dir::State::status "/var/lib/dpkg/status";',
    `Dir::Cache "${join(work, 'cache')}";`,
    'APT::Sandbox::User "root";', // apt would else hand the download to a user who can't read a private home
    'Acquire::Retries "2";',
    'Acquire::http::Timeout "20";',
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

async function notInstalled(packages: string[]): Promise<string[]> {
  const states = await Promise.all(
    packages.map((name) =>
      run('dpkg-query', ['-W', '-f', '${db:Status-Status}', name]).then(
        ({ stdout }) => ({ name, installed: stdout.startsWith('installed') }),
        () => ({ name, installed: false }),
      ),
    ),
  );
  return states.filter((state) => !state.installed).map((state) => state.name);
}
