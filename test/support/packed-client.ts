import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../server/paths.ts';
import { inTurn } from './turns.ts';

/** What the package is made of. */
const SOURCES = ['client', 'server', 'package-lock.json', 'tsconfig.json'];
const CACHE = join(packageRoot, 'node_modules/.cache/tidings-client-packed');

const execute = promisify(execFile);

/** Packs the client as its README says, once for all test processes. @returns the path of the tarball */
export function packedClient(): Promise<string> {
  return inTurn('tidings-client-pack', async () => {
    const folder = join(CACHE, await hashOfSources());
    const made = await readdir(folder).catch(() => []);
    if (made[0] !== undefined) return join(folder, made[0]);
    await rm(CACHE, { recursive: true, force: true });
    const unfinished = `${folder}.unfinished`;
    await mkdir(unfinished, { recursive: true });
    await npm(packageRoot, [
      'pack',
      '--silent',
      '--workspace',
      'tidings-client',
      '--pack-destination',
      unfinished,
    ]);
    await rename(unfinished, folder);
    const [name] = await readdir(folder);
    if (name === undefined) throw new Error('npm pack made nothing');
    return join(folder, name);
  });
}

/** A project of somebody who uses the client, in a folder of its own. */
export class ClientProject {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** An empty one, in which the packed client is installed. */
  static async open(): Promise<ClientProject> {
    const project = new ClientProject(await mkdtemp(join(tmpdir(), 'tidings-project-')));
    await project.write('package.json', '{ "private": true, "type": "module" }\n');
    await npm(project.folder, ['install', ...QUIET, await packedClient()]);
    return project;
  }

  /** Takes over the files of a program, but not what it has installed. @param into a folder of the project */
  async copy(folder: string, into = '.'): Promise<void> {
    const isSource = (path: string) => !['node_modules', 'dist'].includes(basename(path));
    await cp(folder, join(this.folder, into), { recursive: true, filter: isSource });
  }

  /** A copy of a program with the packed client, and of what is installed here what it names. */
  static async of(folder: string, ...links: string[]): Promise<ClientProject> {
    const project = new ClientProject(await mkdtemp(join(tmpdir(), 'tidings-project-')));
    await project.copy(folder);
    const client = join(project.folder, 'node_modules/tidings-client');
    await mkdir(client, { recursive: true });
    await execute('tar', ['-xf', await packedClient(), '-C', client, '--strip-components=1']);
    await project.link('socket.io-client', ...links);
    return project;
  }

  async write(name: string, text: string): Promise<void> {
    const file = join(this.folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  /** Packages that are installed here are installed there as well. */
  async link(...names: string[]): Promise<void> {
    for (const name of names) {
      const place = join(this.folder, 'node_modules', name);
      await mkdir(dirname(place), { recursive: true });
      await symlink(join(packageRoot, 'node_modules', name), place);
    }
  }

  /** Runs Node there. @returns what it said. @throws if it does not end well, with what it said */
  async node(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { stdout } = await execute(process.execPath, args, {
      cwd: this.folder,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      timeout: 600_000,
    });
    return stdout;
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/** What has been downloaded before is taken as it is. */
const QUIET = ['--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];

async function npm(cwd: string, args: readonly string[]): Promise<void> {
  await execute('npm', args, { cwd, timeout: 600_000 });
}

async function hashOfSources(): Promise<string> {
  const hash = createHash('sha256').update(process.version);
  for (const source of SOURCES) {
    const path = join(packageRoot, source);
    const names = await readdir(path, { recursive: true }).catch(() => ['']);
    for (const name of names.sort()) {
      if (name.startsWith('dist') || (name !== '' && !/\.(?:ts|json|md)$|LICENSE$/.test(name))) continue;
      hash.update(`${source}/${name}\0`).update(await readFile(join(path, name)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}
