import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbedded } from '../server/database/embedded.ts';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { migrate } from '../server/database/migrate.ts';
import { LOCK_TIMEOUT } from '../server/database/lock-retries.ts';
import { buildTree, type Tree } from './faults/tree.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { EventStream } from './support/event-stream.ts';
import { NodeProcess } from './support/node-process.ts';
import { temporaryFolder } from './support/postgres.ts';
import { RawClient } from './support/raw-client.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { Api, createWorld, type TestUser, type World } from './support/world.ts';

/** How long an event may take from the answer to its writer. Milliseconds. */
const TOLD_WITHIN = 1000;
/** For how long readers may wait behind a try of a migration: some time more than it waits itself. Milliseconds. */
const QUEUED_AT_MOST = 3 * LOCK_TIMEOUT;
/** How long a write may take. Milliseconds. */
const WRITTEN_WITHIN = 2000;

describe('Two nodes under a migration', () => {
  let data: string;
  let server: EmbeddedPostgres;
  let world: World;
  let other: NodeProcess;
  let ada: TestUser;
  let folder: string;
  let sockets: RawClient[];
  let stream: EventStream;
  const holders: pg.Client[] = [];

  before(async () => {
    data = await temporaryFolder();
    // Autovacuum looks for work each second.
    server = await startEmbedded({ dataDir: data, settings: { fsync: 'off', autovacuum_naptime: '1s' } });
    await migrate(server.url);
    world = await createWorld(sharedSecret, { url: server.url, drop: () => Promise.resolve() });
    other = await startAnotherNode(world, 'other');
    folder = await mkdtemp(join(tmpdir(), 'tidings-migrations-'));
    ada = await world.user();
    sockets = [
      await RawClient.join(world.url, { token: ada.token }),
      await RawClient.join(other.url, { token: ada.token }),
    ];
    stream = await EventStream.open(new Api(other.url, ada.token));
  });
  afterEach(async () => {
    for (const holder of holders.splice(0)) await holder.end().catch(() => undefined);
    expect(other.misconduct).to.deep.equal([]);
  });
  after(async () => {
    stream.close();
    for (const socket of sockets) socket.terminate();
    await other.stop();
    await world.close();
    await server.stop();
    for (const path of [data, folder]) await rm(path, { recursive: true, force: true });
  });

  /** A connection of somebody else's, who holds what these statements lock. */
  const hold = async (...statements: string[]) => {
    const holder = new pg.Client({ connectionString: server.adminUrl.replace(/[^/]*$/, databaseName()) });
    holder.on('error', () => undefined);
    holders.push(holder);
    await holder.connect();
    for (const statement of statements) await holder.query(statement);
    return holder;
  };
  const databaseName = () => new URL(server.url).pathname.slice(1);

  let planted = 0;
  const plant = async (sql: string, into = folder) => {
    planted += 1;
    const name = `20270101${String(planted).padStart(6, '0')}-planted.cjs`;
    await writeFile(
      join(into, name),
      `module.exports = { up: ({ sequelize }) => sequelize.query(${JSON.stringify(sql)}) };`,
    );
    return name;
  };

  /** Somebody writes, now on one node and now on the other: the writer has an answer in time, and then every client the event. */
  const writeAndHear = async (n: number) => {
    const writer = n % 2 === 0 ? ada : new Api(other.url, ada.token);
    let id = 0;
    const written = writer.post<{ id: number }>('/posts', { title: `during ${n}`, content: '' });
    void written.then(({ body }) => (id = body.id));
    await until('the answer to a write', () => id !== 0, WRITTEN_WITHIN);
    expect((await written).status).to.equal(201);
    const heard = () =>
      sockets.every((socket) =>
        socket.heard('post:created').some(([post]) => (post as { id: number }).id === id),
      ) && stream.heard.some(({ data: text }) => text.startsWith(`{"id":${id},`));
    await until('every client to hear it', heard, TOLD_WITHIN);
    // At a rate at which the node that starts has the processor too.
    await pause(50);
  };

  /** For how long, at most, somebody has been seen to wait for a lock that even readers wait behind. Milliseconds. */
  const longestQueue = async (ended: () => boolean) => {
    let longest = 0;
    let seen = new Map<string, Stopwatch>();
    while (!ended()) {
      const { rows } = await world.pool.query<{ pid: number; since: string }>(
        `select pid, pid || ' since ' || waitstart as since
         from pg_locks where mode = 'AccessExclusiveLock' and not granted and waitstart is not null`,
      );
      seen = new Map(rows.map(({ pid, since }) => [since, seen.get(since) ?? new Stopwatch([pid])]));
      longest = Math.max(longest, ...[...seen.values()].map((watch) => watch.ran));
      await pause(20);
    }
    return longest;
  };

  /** Goes on until the migration has run, whose lock is released when it has been waited for twice. */
  const goesOn = async (
    migration: Promise<unknown>,
    waits: () => number,
    release: () => Promise<unknown>,
  ) => {
    let [released, ended] = [false, false];
    void migration.catch(() => undefined).finally(() => (ended = true));
    const longest = longestQueue(() => ended);
    for (let n = 0; !ended; n += 1) {
      await writeAndHear(n);
      if (!released && waits() >= 2) {
        released = true;
        await release();
      }
    }
    await migration;
    expect(await longest, 'readers queue behind a migration').to.be.below(QUEUED_AT_MOST);
    expect(waits(), 'tries that had to wait').to.be.at.least(2);
    await writeAndHear(0);
  };

  it('deliver each event within a second while a node of the next version waits behind a long read of posts', async () => {
    const next: Tree = await buildTree();
    const name = await plant('alter table posts add column planted text', join(next.root, 'migrations'));
    const third = new NodeProcess({
      name: 'of the next version',
      env: { NODE_ENV: 'test', PORT: String(await freePort()), DATABASE_URL: server.url, ...sharedSecret },
      tree: next.root,
    });
    try {
      const reader = await hold('begin', 'select * from posts');
      await goesOn(
        third.start(),
        () => third.output.split('the migration is waiting for a lock').length - 1,
        () => reader.query('rollback'),
      );
      const { rows } = await world.pool.query('select from "SequelizeMeta" where name = $1', [name]);
      expect(rows).to.have.length(1);
      expect(third.output).to.match(/"blockers":\[\{"pid":\d+,/);
    } finally {
      await third.stop();
      await next.remove();
    }
    expect(third.misconduct).to.deep.equal([]);
  });

  for (const [who, table, ...statements] of [
    ['a long read of the log', 'event_log', 'begin', 'select * from event_log'],
    [
      'a writer who is idle in transaction',
      'posts',
      'begin',
      `insert into posts (owner_id, title, content) select min(id), 'x', '' from users`,
    ],
  ] as const)
    it(`deliver each event within a second while a migration waits behind ${who}`, async () => {
      await plant(`alter table ${table} add column planted_${planted} text`);
      const holder = await hold(...statements);
      let waits = 0;
      const log = (message: string) => (waits += Number(message.includes('is waiting for a lock')));
      await goesOn(
        migrate(server.url, log, { migrations: folder }),
        () => waits,
        () => holder.query('rollback'),
      );
    });

  it('deliver each event within a second while autovacuum yields to a migration', async () => {
    const admin = await hold(
      'alter table posts set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)',
      `insert into posts (owner_id, title, content)
       select u.id, 'old', repeat('x', 1000) from generate_series(1, 1000), (select min(id) as id from users) u`,
      `delete from posts where title = 'old'`,
      'select pg_stat_force_next_flush()',
    );
    const vacuum = `select from pg_stat_activity where query like 'autovacuum: VACUUM%.posts'`;
    await until('autovacuum to come', async () => (await admin.query(vacuum)).rows.length > 0, 40_000);
    await plant('alter table posts add column beside_autovacuum text');
    let told = '';
    const log = (message: string, extra?: object) => (told += `${message} ${JSON.stringify(extra)}`);
    await goesOn(
      migrate(server.url, log, { migrations: folder }),
      () => 2,
      () => Promise.resolve(),
    );
    expect(told).to.contain('"user":null');
  });
});
