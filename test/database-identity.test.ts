import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { readConfig } from '../server/config.ts';
import { migrate } from '../server/database/migrate.ts';
import { makeNewEpoch } from '../server/doctor/repair.ts';
import { createLogger } from '../server/logger.ts';
import { type RunningServer, startServer } from '../server/server.ts';
import { FaultyPostgres } from './faults/postgres.ts';
import { query } from './support/postgres.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { TcpProxy } from './support/tcp-proxy.ts';
import { until } from './support/waiting.ts';
import { signUp, type TestUser } from './support/world.ts';

const DATABASE = 'tidings';
const APP = 'app';

describe('the database that a node is on', () => {
  let postgres: FaultyPostgres;
  let proxy: TcpProxy;
  let dataDir: string;
  let server: RunningServer | undefined;
  let target = 0;
  let port = 0;
  let log: string[] = [];

  before(async () => {
    postgres = await FaultyPostgres.start();
    // A role as services give it, which may not look at the server's files.
    await postgres.query('postgres', `create role ${APP} login createdb password 'app'`);
    target = postgres.port;
    proxy = await TcpProxy.start({ targets: () => [target] });
    dataDir = await mkdtemp(join(tmpdir(), 'tidings-identity-'));
  });
  beforeEach(() => {
    log = [];
    target = postgres.port;
  });
  afterEach(async () => {
    await stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  after(async () => {
    await proxy.stop();
    await postgres.stop();
  });

  const fresh = async (owner?: string) => {
    await postgres.query('postgres', `drop database if exists ${DATABASE} with (force)`);
    await postgres.query(
      'postgres',
      `create database ${DATABASE} ${owner === undefined ? '' : `owner ${owner}`}`,
    );
  };
  const urlOf = (role?: string) => {
    const url = new URL(postgres.url(DATABASE, proxy.port));
    if (role !== undefined) [url.username, url.password] = [role, role];
    return url.href;
  };
  const start = async (url = urlOf(), env: NodeJS.ProcessEnv = {}) => {
    await migrate(url);
    const config = readConfig({
      NODE_ENV: 'test',
      PORT: String(port),
      JWT_SECRET: 'x'.repeat(32),
      DATA_DIR: dataDir,
      DATABASE_URL: url,
      BCRYPT_COST: '4',
      RATE_LIMITS: 'off',
      LOG_LEVEL: 'info',
      ...env,
    });
    server = await startServer(
      config,
      url,
      createLogger('info', { write: (line: string) => log.push(line) }),
    );
    port = Number(new URL(server.url).port); // the same from here on
    return server;
  };
  const stop = async () => {
    await server?.stop(0);
    server = undefined;
  };
  const position = () => {
    const { epoch, seq } = server!.service.ctx.feed;
    return { epoch, seq };
  };
  /** Writes posts and waits until the node has told them. */
  const post = async (user: TestUser, many: number) => {
    const { seq } = position();
    for (let n = 0; n < many; n += 1) {
      const { status } = await user.post('/posts', { title: `post ${n}`, content: 'x' });
      expect(status).to.equal(201);
    }
    await until('the posts are told', () => position().seq === seq + many);
  };
  /** Votes for the newest post, or takes the vote back. */
  const vote = async (user: TestUser, up: boolean) => {
    const { body } = await user.get<{ id: number }[]>('/posts');
    const path = `/posts/${body[0]!.id}/vote`;
    const { status } = up ? await user.put(path) : await user.delete(path);
    expect(status).to.equal(200);
  };
  const told = (message: string) => log.filter((line) => line.includes(message)).length;

  it('keeps its epoch through a crash, a stop in order and a restart of the node', async () => {
    await fresh();
    await start();
    await post(await signUp(server!.url), 3);
    const before = position();
    await postgres.down();
    await postgres.up();
    await until('the node is ready', async () => (await fetch(`${server!.url}/readyz`)).ok);
    expect(position()).to.deep.equal(before);
    await stop();
    await postgres.down();
    await postgres.up();
    await start();
    expect(position()).to.deep.equal(before);
  });

  it('gets a new epoch when a copy of its files was put back while no node ran, though it has grown since', async () => {
    await fresh();
    await start();
    await post(await signUp(server!.url), 2);
    await stop();
    await postgres.backUp();
    await start();
    const { epoch } = position();
    await stop();
    await postgres.restore();
    await rm(dataDir, { recursive: true, force: true }); // nobody remembers anything
    await start();
    expect(position().epoch).to.not.equal(epoch);
  });

  it('gets a new epoch when its volume was put back to before what a node has told, also where it sees no files', async () => {
    await fresh(APP);
    await start(urlOf(APP));
    const user = await signUp(server!.url);
    await post(user, 2);
    await stop();
    await postgres.backUp();
    await start(urlOf(APP));
    const { epoch } = position();
    await post(user, 1);
    await until('the position is kept', async () =>
      (await readdir(dataDir)).includes('feed-position-0.json'),
    );
    await stop();
    await postgres.restore();
    await start(urlOf(APP));
    expect(position().epoch).to.not.equal(epoch);
    expect(position().seq).to.equal(2);
  });

  it('gets a new epoch when its volume was put back to before a vote, which no event tells of', async () => {
    await fresh(APP);
    await start(urlOf(APP));
    const user = await signUp(server!.url);
    await post(user, 1);
    await stop();
    await postgres.backUp();
    await start(urlOf(APP));
    const { epoch, seq } = position();
    await vote(user, true);
    const file = join(dataDir, 'feed-position-0.json');
    const flushed = async () => {
      const [row] = (await query(urlOf(APP), 'select flushed_wal() as wal')) as { wal: number }[];
      return row!.wal;
    };
    const voted = await flushed();
    await until('how far the database was is kept', async () => {
      const { wal } = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as { wal?: number };
      return wal !== undefined && wal >= voted;
    });
    await stop();
    await postgres.restore();
    await start(urlOf(APP));
    expect(position().epoch).to.not.equal(epoch);
    expect(position().seq).to.equal(seq);
  });

  it('keeps its epoch through a crash of the database under votes', async () => {
    await fresh(APP);
    await start(urlOf(APP));
    const user = await signUp(server!.url);
    await post(user, 1);
    const { epoch, seq } = position();
    for (let round = 0; round < 3; round += 1) {
      await vote(user, round % 2 === 0);
      await postgres.crash();
      await postgres.up();
      await until('the node is ready', async () => (await fetch(`${server!.url}/readyz`)).ok);
    }
    expect(position()).to.deep.include({ epoch, seq });
  });

  it('gets a new epoch when a snapshot of its files, taken while it ran, is put back under a running node', async () => {
    await fresh(APP);
    await start(urlOf(APP));
    const user = await signUp(server!.url);
    await post(user, 2);
    await postgres.snapshot();
    await post(user, 1);
    const { epoch } = position();
    await postgres.restore();
    await until('the feed to begin anew', () => position().epoch !== epoch);
    expect(position().seq).to.equal(2);
    expect(told('the numbering has changed: the feed restarts at the new head')).to.equal(1);
    await until('the node is ready', async () => (await fetch(`${server!.url}/readyz`)).ok);
    await post(user, 1);
  });

  describe('with Redis, and no folder of a node kept', () => {
    let redis: TestRedis;
    let client: Redis;
    const env = () => ({ REDIS_URL: redis.url, REDIS_PREFIX: 'p' });
    const kept = async () => {
      const [epoch, seq] = (await client.get('p:feed-position'))?.split(' ') ?? [];
      return { epoch, seq: Number(seq) };
    };
    const isKept = () =>
      until('the position is in Redis', async () => {
        const { epoch, seq } = await kept();
        return epoch === position().epoch && seq === position().seq;
      });
    /** A node has told three posts, and the database is restored to the second. */
    const putBack = async () => {
      await fresh(APP);
      await start(urlOf(APP), env());
      const user = await signUp(server!.url);
      await post(user, 2);
      await stop();
      await postgres.backUp();
      await start(urlOf(APP), env());
      await post(user, 1);
      const { epoch } = position();
      await isKept();
      await stop();
      await postgres.restore();
      await rm(dataDir, { recursive: true, force: true });
      return { epoch, user };
    };

    before(async () => {
      redis = await startRedis();
      client = new Redis(redis.url);
    });
    beforeEach(() => client.flushall());
    after(async () => {
      client.disconnect();
      await redis.stop();
    });

    it('gets a new epoch when its volume was put back to before what a node has told', async () => {
      const { epoch } = await putBack();
      await start(urlOf(APP), env());
      expect(position().epoch).to.not.equal(epoch);
      expect(position().seq).to.equal(2);
      await isKept();
      const again = position();
      await stop();
      await start(urlOf(APP), env());
      expect(position()).to.deep.equal(again);
    });

    it('gets a new epoch when its volume was put back to before a vote, which no event tells of', async () => {
      await fresh(APP);
      await start(urlOf(APP), env());
      const user = await signUp(server!.url);
      await post(user, 1);
      await stop();
      await postgres.backUp();
      await start(urlOf(APP), env());
      const { epoch, seq } = position();
      await isKept();
      await vote(user, true);
      await stop();
      await postgres.restore();
      await rm(dataDir, { recursive: true, force: true });
      await start(urlOf(APP), env());
      expect(position().epoch).to.not.equal(epoch);
      expect(position().seq).to.equal(seq);
    });

    it('gets it as soon as Redis answers, though the log has reached the number that was told', async () => {
      const { epoch, user } = await putBack();
      await redis.kill('SIGSTOP');
      await start(urlOf(APP), env());
      expect(position()).to.deep.equal({ epoch, seq: 2 });
      await post(user, 2);
      await redis.kill('SIGCONT');
      await until('the epoch is a new one', () => position().epoch !== epoch);
      await isKept();
    });

    it('keeps its epoch when Redis has lost the position, has an older one, or one of another epoch', async () => {
      await fresh(APP);
      await start(urlOf(APP), env());
      await post(await signUp(server!.url), 2);
      const before = position();
      for (const told of ['', `${before.epoch} 1 -`, `${randomUUID()} 99 -`, 'nonsense']) {
        await isKept();
        await stop();
        await rm(dataDir, { recursive: true, force: true });
        if (told === '') await client.flushall();
        else await client.set('p:feed-position', told);
        await start(urlOf(APP), env());
        expect(position()).to.deep.equal(before);
      }
    });

    it('gets a new epoch when Redis is told of more than the log has, under a running node', async () => {
      await fresh(APP);
      await start(urlOf(APP), env());
      const user = await signUp(server!.url);
      await post(user, 1);
      await isKept();
      const { epoch, seq } = position();
      // By a node that is gone, and so is what it told.
      await client.set('p:feed-position', `${epoch} ${seq + 5} -`);
      await post(user, 1);
      await until('the epoch is a new one', () => position().epoch !== epoch);
    });
  });

  it('gets a new epoch when its rows were loaded from a dump of itself', async () => {
    await fresh();
    await start();
    const user = await signUp(server!.url);
    await post(user, 2);
    const [dumped] = await postgres.query<{ head: object }>(
      DATABASE,
      'select to_json(h) as head from feed_head h',
    );
    await post(user, 2);
    const { epoch } = position();
    await stop();
    await rm(dataDir, { recursive: true, force: true });
    await postgres.query(DATABASE, 'delete from event_log where seq > 2');
    await postgres.query(DATABASE, 'delete from feed_head');
    await postgres.query(
      DATABASE,
      'insert into feed_head select * from json_populate_record(null::feed_head, $1)',
      [dumped!.head],
    );
    await start();
    expect(position().epoch).to.not.equal(epoch);
    expect(position().seq).to.equal(2);
    const again = position();
    await stop();
    await start();
    expect(position()).to.deep.equal(again);
  });

  it('gets a new epoch from its operator, and every client is told', async () => {
    await fresh();
    await start();
    const { epoch } = position();
    const made = await makeNewEpoch(server!.service.ctx.db);
    expect(made).to.not.equal(epoch);
    await until('the node has the new epoch', () => position().epoch === made);
  });

  it('is left at once and as a whole when the address leads to another one, and the one before lives on', async () => {
    await fresh();
    await start();
    const user = await signUp(server!.url);
    await post(user, 3);
    await stop();
    const copy = await postgres.copy();
    try {
      await start();
      const before = position();
      const acknowledged: string[] = [];
      let writing = true;
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let n = 0; writing; n += 1) {
          const title = `writer ${writer} post ${n}`;
          const { status } = await user.post('/posts', { title, content: 'x' });
          if (status === 201) acknowledged.push(title);
          else await pause(20);
        }
      });
      await until('posts are written', () => acknowledged.length > 20);
      // Some connections of either pool break, the others stand.
      let turn = 0;
      target = copy.port;
      const cutAt = acknowledged.length;
      proxy.cut(() => (turn += 1) % 2 === 0);
      await until('the feed has moved', () => position().epoch !== before.epoch);
      const movedAt = acknowledged.length;
      await until('the database of before is left', async () => {
        const [row] = await postgres.query<{ n: string }>(
          DATABASE,
          `select count(*) as n from pg_stat_activity where application_name like 'tidings%'`,
        );
        return Number(row?.n) === 0;
      });
      await until('posts are written to the other one', () => acknowledged.length > movedAt + 20);
      writing = false;
      await Promise.all(writers);

      const titles = async (server: FaultyPostgres) =>
        new Set(
          (
            await server.query<{ title: string }>(DATABASE, `select data ->> 'title' as title from event_log`)
          ).map(({ title }) => title),
        );
      await until('the last of them is told', async () => (await titles(copy)).has(acknowledged.at(-1)!));
      const here = await titles(copy);
      // What the one before acknowledged it did before its connections were cut.
      const elsewhere = acknowledged.flatMap((title, at) => (here.has(title) ? [] : [at]));
      expect(Math.max(-1, ...elsewhere)).to.be.lessThan(cutAt + 4);
      expect(told('the numbering has changed: the feed restarts at the new head')).to.equal(1);
      expect(told('leads to another database now')).to.equal(1);
      // It stays there, though the address leads back to the one that it has left.
      target = postgres.port;
      proxy.cut(() => (turn += 1) % 3 === 0);
      await pause(500);
      expect(position().epoch).to.not.equal(before.epoch);
      expect(told('the numbering has changed: the feed restarts at the new head')).to.equal(1);
    } finally {
      await stop();
      await copy.stop();
    }
  });

  it('is left when its name leads to a promoted standby, though it lives on and every connection to it stands', async () => {
    await fresh();
    await start();
    const user = await signUp(server!.url);
    await post(user, 2);
    await stop();
    const standby = await postgres.standby();
    try {
      await start();
      await standby.promote();
      await post(user, 1);
      const { epoch } = position();
      target = standby.port;
      await until('the feed has moved', () => position().epoch !== epoch);
      await until('the database of before is left', async () => {
        const [row] = await postgres.query<{ n: string }>(
          DATABASE,
          `select count(*) as n from pg_stat_activity where application_name like 'tidings%'`,
        );
        return Number(row?.n) === 0;
      });
      await post(user, 1);
      expect(told('leads to another database now')).to.equal(1);
      // It leads back, as where a name has both addresses: no connection is used there, and that is said.
      target = postgres.port;
      await until('a warning', () => told('cannot be used for new connections') === 1);
      await post(user, 1);
      expect(told('the numbering has changed: the feed restarts at the new head')).to.equal(1);
    } finally {
      await stop();
      await standby.stop();
    }
  });

  it('gets a new epoch when a standby that lagged is promoted, also for a node that starts afterwards', async () => {
    await fresh(APP);
    await start(urlOf(APP));
    const user = await signUp(server!.url);
    await stop();
    const standby = await postgres.standby();
    try {
      await start(urlOf(APP));
      await post(user, 2);
      const { epoch } = position();
      await until('the standby has the posts', async () => {
        const [row] = await standby.query<{ seq: string }>(DATABASE, 'select seq from feed_head');
        return Number(row?.seq) === 2;
      });
      await standby.down();
      await post(user, 2);
      // Its primary is gone before it has heard of the last two.
      await postgres.crash();
      await standby.up();
      await standby.promote();
      target = standby.port;
      await until('the node has moved', () => position().epoch !== epoch);
      expect(position().seq).to.equal(2);
      const moved = position();
      await until('posts are taken', async () => {
        const { status } = await user.post('/posts', { title: 'afterwards', content: '' });
        return status === 201;
      });
      await until('the post is told', () => position().seq > 2);
      await stop();
      await rm(dataDir, { recursive: true, force: true });
      await start(urlOf(APP));
      expect(position().epoch).to.equal(moved.epoch);
    } finally {
      await stop();
      await standby.stop();
      await postgres.up();
    }
  });

  it('gets a new epoch when a standby that lagged is promoted while no node runs, and nobody remembers', async () => {
    await fresh(APP);
    await start(urlOf(APP));
    const user = await signUp(server!.url);
    await post(user, 1);
    await stop();
    const standby = await postgres.standby();
    try {
      await standby.down();
      await start(urlOf(APP));
      await post(user, 2);
      const { epoch } = position();
      await stop();
      await postgres.crash();
      await rm(dataDir, { recursive: true, force: true });
      await standby.up();
      await standby.promote();
      target = standby.port;
      await start(urlOf(APP));
      expect(position().epoch).to.not.equal(epoch);
      expect(position().seq).to.equal(1);
    } finally {
      await stop();
      await standby.stop();
      await postgres.up();
    }
  });

  it('is refused at the start if the address leads to two', async () => {
    await fresh();
    await start();
    await stop();
    const copy = await postgres.copy();
    try {
      const ports = [postgres.port, copy.port];
      let turn = 0;
      const alternating = await TcpProxy.start({ targets: () => [ports[(turn += 1) % 2]!] });
      try {
        const url = new URL(postgres.url(DATABASE, alternating.port)).href;
        const failure: unknown = await start(url).catch((error: unknown) => error);
        expect(String(failure)).to.include('two databases');
      } finally {
        await alternating.stop();
      }
    } finally {
      await copy.stop();
    }
  });
});
