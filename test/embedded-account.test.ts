import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  cp,
  lstat,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type EmbeddedPostgres, startEmbedded } from '../server/database/embedded.ts';
import { canEnter } from '../server/database/embedded/account.ts';
import { type Accounts, accountsFor } from '../server/database/embedded/accounts.ts';
import { findBinaries } from '../server/database/embedded/binaries.ts';
import { launch } from '../server/database/embedded/postmaster.ts';
import { waitForExit } from '../server/database/embedded/process.ts';
import { packageRoot } from '../server/paths.ts';
import { compiledProgram } from './support/compiled-service.ts';
import { query, stopAbandoned, temporaryFolder } from './support/postgres.ts';
import { until } from './support/waiting.ts';

const run = promisify(execFile);

/** How long a start may take on a busy machine. Milliseconds. */
const TIME_LIMIT = 60_000;

/** Starts an embedded database, and writes its log and then its URL in lines of JSON. */
const OWNER = `
  const { startEmbedded } = await import(process.argv[1] + '/server/database/embedded.ts');
  const say = (line) => console.log(JSON.stringify(line));
  const server = await startEmbedded({ dataDir: process.argv[2], log: (message) => say({ message }) });
  say({ url: server.url });
  setInterval(() => {}, 1000);
`;

/** Runs in a process before its script, which is killed when it has given so many files to another account. */
const killedAfter = (files: number) => `
  import fs from 'node:fs/promises';
  import { syncBuiltinESMExports } from 'node:module';
  const { lchown } = fs;
  let given = 0;
  fs.lchown = async (...args) => {
    await lchown(...args);
    if ((given += 1) === ${files}) process.kill(process.pid, 'SIGKILL');
  };
  syncBuiltinESMExports();
`;

/** Writes the accounts for a data folder in JSON. */
const ASK = `
  const { accountsFor } = await import(process.argv[1] + '/server/database/embedded/accounts.ts');
  console.log(JSON.stringify(await accountsFor(process.argv[2])));
`;

const node = (script: string, dataDir: string) => [
  ...['--import', 'tsx', '--input-type=module', '-e'],
  ...[script, packageRoot, dataDir],
];

describe('The account of the embedded PostgreSQL under root', () => {
  let made: string;
  let dataDir: string;
  let place: string;
  let cluster: string;
  let started: EmbeddedPostgres[];
  let processes: ChildProcess[];
  let nobody: { uid: number; gid: number };

  before(async function () {
    if (process.getuid?.() !== 0 || process.platform !== 'linux') {
      console.log('      (skipped: only root on Linux has other accounts to run PostgreSQL as)');
      this.skip();
    }
    nobody = { uid: await idOf('-u'), gid: await idOf('-g') };
    made = await temporaryFolder();
    const server = await startEmbedded({ dataDir: made });
    await query(server.url, 'create table kept (n int); insert into kept values (7)');
    await server.stop();
  });

  after(async () => {
    await rm(made, { recursive: true, force: true });
  });

  beforeEach(async () => {
    dataDir = await temporaryFolder();
    place = join(dataDir, 'postgres');
    cluster = join(place, 'cluster');
    started = [];
    processes = [];
  });

  afterEach(async () => {
    for (const server of started) await server.stop();
    for (const child of processes) {
      child.kill('SIGKILL');
      if (child.pid !== undefined) await waitForExit(child.pid, 5_000);
    }
    expect(await stopAbandoned(dataDir)).to.be.true;
    await rm(dataDir, { recursive: true, force: true });
  });

  async function start(log: string[] = []): Promise<EmbeddedPostgres> {
    const server = await startEmbedded({ dataDir, log: (message) => log.push(message) });
    started.push(server);
    return server;
  }

  /** A stopped database with one table, as this version leaves it. */
  async function copy(): Promise<void> {
    await cp(join(made, 'postgres'), place, { recursive: true });
    const [entries, owner] = [await readdir(place), await stat(join(made, 'postgres/cluster'))];
    await run('chown', ['-R', `${owner.uid}:${owner.gid}`, cluster]);
    expect(entries).to.include.members(['cluster', 'password', 'service-password']);
  }

  /** The same as an earlier version left it that root ran: of `nobody`, but for who claimed it. */
  async function earlier(account = nobody): Promise<void> {
    await copy();
    await run('chown', ['-R', `${account.uid}:${account.gid}`, place]);
    await chmod(place, 0o700);
    for (const name of await readdir(place))
      if (name.startsWith('owner.')) await chown(join(place, name), 0, 0);
  }

  /** The server of an earlier version, which its process leaves behind. */
  async function launchAsNobody() {
    const accounts = { server: nobody, named: nobody, keeper: nobody };
    const binaries = await findBinaries(place, accounts);
    return launch({ place, cluster, binaries, accounts, settings: {} }, undefined, () => undefined);
  }

  /** Starts a process that owns the database. */
  function spawnOwner(command: string, args: readonly string[]) {
    const all = [...args, ...node(OWNER, dataDir)];
    const child = spawn(command, all, { cwd: packageRoot, stdio: ['pipe', 'pipe', 'inherit'] });
    processes.push(child);
    const told: { message?: string; url?: string }[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line) as object));
    return { child, told };
  }

  it('is of no user, no group and no other process, keeps its number, and has the database to itself', async () => {
    const server = await start();
    const { uid, gid } = await stat(cluster);
    expect(uid).to.be.within(60_706, 61_183).and.to.equal(gid);
    for (const file of ['/etc/passwd', '/etc/group'])
      expect(await readFile(file, 'utf8'), file).not.to.match(new RegExp(`:${uid}:`));
    const others = (await processesOf(uid)).filter(({ pid, parent }) => ![pid, parent].includes(server.pid));
    expect(others).to.deep.equal([]);
    expect(await processesOf(uid)).not.to.be.empty;

    expect(await stat(place)).to.include({ uid: 0, gid });
    expect((await stat(place)).mode & 0o777).to.equal(0o710);
    for (const file of ['password', 'service-password', 'postgres.log'])
      expect(await stat(join(place, file)), file).to.include({ uid: 0, mode: 0o100600 });
    for (const name of ['postgres', 'nobody', 'daemon'])
      expect(canEnter({ uid: await idOf('-u', name), gid: await idOf('-g', name) }, place), name).to.be.false;
    expect(canEnter({ uid, gid }, place)).to.be.true;

    await server.stop();
    const again = await start();
    expect((await stat(cluster)).uid).to.equal(uid);
    expect((await processesOf(uid)).map(({ pid }) => pid)).to.include(again.pid);
  });

  it('is another one where a user, a group, a container’s range or a process has the first', async function () {
    const first = (await accounts()).server.uid;
    const child = spawn('sleep', ['60'], { uid: first, gid: first });
    processes.push(child);
    await until('the process to run', async () => (await processesOf(first)).length > 0, TIME_LIMIT);
    expect((await accounts()).server.uid).not.to.equal(first);
    child.kill();
    await once(child, 'exit');
    expect((await accounts()).server.uid).to.equal(first);

    for (const [file, line] of [
      ['/etc/passwd', `app:x:${first}:100::/:/bin/false`],
      ['/etc/passwd', `app:x:1234:${first}::/:/bin/false`],
      ['/etc/group', `app:x:${first}:`],
      ['/etc/subuid', `app:${first - 10}:20`],
    ] as const) {
      const changed = join(dataDir, 'changed');
      await writeFile(changed, `${await readFile(file, 'utf8').catch(() => '')}${line}\n`);
      await writeFile(file, '', { flag: 'a' });
      const script = `mount --bind '${changed}' ${file} && exec "$@"`;
      const args = ['--mount', 'sh', '-c', script, 'sh', process.execPath, ...node(ASK, dataDir)];
      const { stdout } = await run('unshare', args, { cwd: packageRoot });
      expect((JSON.parse(stdout) as Accounts).server.uid, line).not.to.equal(first);
    }
  });

  it('is given the database that an earlier version ran as nobody, whose server is stopped first', async () => {
    await earlier();
    const left = await launchAsNobody();
    expect(canEnter(nobody, cluster)).to.be.true;

    const server = await start();
    expect(server.pid).not.to.equal(left.pid);
    expect(await query(server.url, 'select n from kept')).to.deep.equal([{ n: 7 }]);
    expect(canEnter(nobody, place)).to.be.false;
    expect(await ownersIn(cluster)).to.deep.equal([(await accounts()).server.uid]);
  });

  it('continues with a database of which only a part was given to it when the process was killed', async () => {
    await earlier();
    // So many files that it is killed during them, whatever the others are.
    const many = join(cluster, 'base/many');
    await mkdir(many);
    await run('sh', ['-c', 'cd "$1" && seq 10000 | xargs touch', 'sh', many]);
    await run('chown', ['-R', `${nobody.uid}:${nobody.gid}`, cluster]);
    const { child } = spawnOwner(process.execPath, [
      `--import=data:text/javascript,${encodeURIComponent(killedAfter(5000))}`,
    ]);
    expect(await once(child, 'exit')).to.deep.equal([null, 'SIGKILL']);
    expect(await ownersIn(many), 'a part').to.have.length(2);
    expect((await stat(cluster)).uid).to.equal(nobody.uid);

    const server = await start();
    expect(await query(server.url, 'select n from kept')).to.deep.equal([{ n: 7 }]);
    expect(await ownersIn(cluster)).to.deep.equal([(await accounts()).server.uid]);
  });

  it('takes no database over in which a process of a killed server is still at work', async () => {
    await earlier();
    const left = await launchAsNobody();
    const writer = (await processesOf(nobody.uid)).find(({ parent }) => parent === left.pid);
    if (writer === undefined) throw new Error('the server has no processes');
    process.kill(writer.pid, 'SIGSTOP');
    process.kill(left.pid, 'SIGKILL');
    await waitForExit(left.pid, 5_000);

    const log: string[] = [];
    const starting = start(log);
    await until(
      'the take-over to begin',
      () => log.includes('giving the embedded database to another account'),
      TIME_LIMIT,
    );
    await sleep(500);
    expect((await stat(cluster)).uid).to.equal(nobody.uid);
    process.kill(writer.pid, 'SIGKILL');
    expect(await query((await starting).url, 'select n from kept')).to.deep.equal([{ n: 7 }]);
    expect((await stat(cluster)).uid).not.to.equal(nobody.uid);
  });

  it('leaves a database to the user who runs it, whoever that is', async () => {
    const daemon = { uid: await idOf('-u', 'daemon'), gid: await idOf('-g', 'daemon') };
    await earlier(daemon);
    expect(await accounts()).to.deep.equal({ server: daemon, named: daemon, keeper: daemon });

    await rm(place, { recursive: true });
    await earlier();
    await run('chown', ['-R', `${nobody.uid}:${nobody.gid}`, place]); // the claims too: nobody runs it itself
    expect((await accounts()).server).to.deep.equal(nobody);
    const server = await start();
    expect(await query(server.url, 'select n from kept')).to.deep.equal([{ n: 7 }]);
    expect(await ownersIn(cluster)).to.deep.equal([nobody.uid]);
    await server.stop();
    expect((await accounts()).server, 'also after root has run it').to.deep.equal(nobody);
  });

  it('is led nowhere by links that the account before has laid', async () => {
    await earlier();
    const [victim, inside] = [join(dataDir, 'victim'), join(dataDir, 'folder')];
    await writeFile(victim, 'root’s');
    await mkdir(inside);
    await writeFile(join(inside, 'file'), 'root’s');
    await rm(join(place, 'postgres.log'), { force: true });
    await symlink(victim, join(place, 'postgres.log'));
    await symlink(victim, join(cluster, 'link'));
    await symlink(inside, join(cluster, 'base/link'));
    await link(victim, join(cluster, 'second-name'));

    const server = await start();
    expect(await query(server.url, 'select n from kept')).to.deep.equal([{ n: 7 }]);
    for (const path of [victim, inside, join(inside, 'file')])
      expect((await stat(path)).uid, path).to.equal(0);
    expect(await readFile(victim, 'utf8')).to.equal('root’s');
    expect((await lstat(join(place, 'postgres.log'))).isFile()).to.be.true;
  });

  it('stays what it was where a part of the database lies elsewhere, and the log and the doctor say why', async () => {
    await earlier();
    const wal = join(dataDir, 'wal');
    await rename(join(cluster, 'pg_wal'), wal);
    await symlink(wal, join(cluster, 'pg_wal'));
    const log: string[] = [];
    const server = await start(log);
    expect(await query(server.url, 'select n from kept')).to.deep.equal([{ n: 7 }]);
    expect((await stat(cluster)).uid).to.equal(nobody.uid);
    expect(log.join('\n'))
      .to.contain(`runs as uid ${nobody.uid}, which other programs may use too`)
      .and.to.contain('pg_wal');
    expect(await doctor()).to.contain(`embedded database: PostgreSQL runs as uid ${nobody.uid}`);
  });

  it('is one that exists where a user namespace has no other, and the log and the doctor say why', async () => {
    const script = 'read -r mapped && exec "$@"';
    const { child, told } = spawnOwner('unshare', ['--user', 'sh', '-c', script, 'sh', process.execPath]);
    const { pid = 0 } = child;
    const namespace = () => readlink(`/proc/${pid}/ns/user`).catch(() => '');
    const ours = await readlink('/proc/self/ns/user');
    await until('the namespace', async () => ![ours, ''].includes(await namespace()), TIME_LIMIT);
    for (const [map, own] of [
      ['uid_map', nobody.uid],
      ['gid_map', nobody.gid],
    ] as const)
      await writeFile(`/proc/${pid}/${map}`, `0 0 1000\n${own} ${own} 1\n`);
    child.stdin.end('mapped\n');
    await until(
      'the database',
      () => told.some(({ url }) => url !== undefined) || child.exitCode !== null,
      TIME_LIMIT,
    );
    const url = told.find((line) => line.url !== undefined)?.url ?? '';
    expect(await query(url, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
    expect(told.map(({ message }) => message).join('\n')).to.match(
      /which other programs may use too.* \(EINVAL\)/,
    );
  });

  const accounts = async () => {
    const found = await accountsFor(dataDir);
    if (found === undefined) throw new Error('there are no other accounts');
    return found;
  };

  async function doctor(): Promise<string> {
    const env = { PATH: process.env.PATH, DATA_DIR: dataDir };
    const { stdout } = await run(process.execPath, [compiledProgram('server/doctor/main.ts')], {
      cwd: packageRoot,
      env,
    }).catch((error: unknown) => error as { stdout: string }); // it finds that nothing has been migrated
    return stdout;
  }
});

async function idOf(option: '-u' | '-g', name = 'nobody'): Promise<number> {
  return Number((await run('id', [option, name])).stdout);
}

async function processesOf(uid: number): Promise<{ pid: number; parent: number }[]> {
  const { stdout } = await run('ps', ['-o', 'pid=,ppid=', '-u', String(uid)]).catch(() => ({ stdout: '' }));
  return stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([pid = 0, parent = 0]) => ({ pid, parent }));
}

/** The owners of a folder and of all that is in it, each once. */
async function ownersIn(folder: string): Promise<number[]> {
  const { stdout } = await run('find', [folder, '-printf', '%U\\n'], { maxBuffer: 64 * 1024 * 1024 });
  return [...new Set(stdout.trim().split('\n').map(Number))];
}
