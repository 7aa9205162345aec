import { expect } from 'chai';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { connectClient } from '../server/database/client.ts';
import { refuseTransactionPooling } from '../server/database/pooler.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { systemBinary } from './support/system-binary.ts';
import { until } from './support/waiting.ts';
import { createWorld } from './support/world.ts';

describe('PgBouncer', () => {
  let database: TestDatabase;
  let folder: string;
  let bouncer: ChildProcess | undefined;

  before(async () => {
    database = await createDatabase();
    folder = await mkdtemp(join(tmpdir(), 'tidings-pgbouncer-'));
    await chmod(folder, 0o755);
  });
  afterEach(async () => {
    if (bouncer?.exitCode === null) {
      bouncer.kill('SIGQUIT');
      await once(bouncer, 'exit');
    }
  });
  after(async () => {
    await database.drop();
    await rm(folder, { recursive: true });
  });

  /** Starts it and tells its address. */
  const start = async (mode: string): Promise<string> => {
    const { path, env } = await systemBinary({
      names: ['pgbouncer'],
      packages: ['pgbouncer'],
      hint: 'Install it: apt-get install pgbouncer',
    });
    const { hostname, port, username, password, pathname } = new URL(database.url);
    const own = await freePort();
    const file = join(folder, 'pgbouncer.ini');
    const target = `host=${hostname} port=${port} dbname=${pathname.slice(1)} user=${username} password=${password}`;
    await writeFile(
      file,
      `[databases]\ntidings = ${target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${own}\n` +
        `unix_socket_dir =\nauth_type = any\npool_mode = ${mode}\n`,
      { mode: 0o644 },
    );
    // It refuses to run as root.
    const args = process.getuid?.() === 0 ? ['-u', 'nobody', file] : [file];
    bouncer = spawn(path, args, { env, stdio: 'ignore' });
    const url = `postgres://anybody:any@127.0.0.1:${own}/tidings`;
    await until('PgBouncer answers', () =>
      connectClient(url, { name: 'tidings test' }).then(
        (client) => client.end().then(() => true),
        () => false,
      ),
    );
    return url;
  };

  it('in session mode carries the service, whose time limits reach the server', async () => {
    const url = await start('session');
    await refuseTransactionPooling(url);
    const world = await createWorld({}, { url, drop: () => Promise.resolve() });
    try {
      const { db, feed } = world.ctx;
      const limits =
        "select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock";
      expect((await db.query({ text: limits, values: [] })).rows).to.deep.equal([
        { statement: '10s', lock: '5s' },
      ]);
      const user = await world.user();
      expect((await user.post('/posts', { title: 'through a pooler', content: 'x' })).status).to.equal(201);
      await until('the post is told', () => feed.seq === 1);
    } finally {
      await world.close();
    }
  });

  for (const mode of ['transaction', 'statement'])
    it(`in ${mode} mode is refused by name`, async () => {
      const url = await start(mode);
      const failure: unknown = await refuseTransactionPooling(url).catch((error: unknown) => error);
      expect(String(failure)).to.include('pool_mode = session');
    });
});
