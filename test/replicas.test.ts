import { expect } from 'chai';
import pg from 'pg';
import { QueryTypes } from 'sequelize';
import { createFeedPool, Database, databaseErrorCode } from '../server/database/connection.ts';
import { DatabaseIdentity } from '../server/database/identity.ts';
import { readConfig } from '../server/config.ts';
import { findReplicaFaults } from '../server/doctor/environment-checks.ts';
import { migrate } from '../server/database/migrate.ts';
import { refuseTransactionPooling } from '../server/database/pooler.ts';
import { Replicas } from '../server/database/replicas.ts';
import { createLogger } from '../server/logger.ts';
import { FeedReader } from '../server/posts/feed-reader.ts';
import type { ListPosts } from '../server/posts/schemas.ts';
import { FaultyPostgres } from './faults/postgres.ts';
import { appendPosts } from './support/append-sql.ts';
import { type BouncerOptions, PgBouncer } from './support/pgbouncer.ts';
import { readyOf } from './support/sockets.ts';
import { TcpProxy } from './support/tcp-proxy.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

const DATABASE = 'tidings';

interface Listed {
  id: number;
  title: string;
  votes: number;
  voted: boolean;
  owner_id: number;
}

describe('read replicas', () => {
  let postgres: FaultyPostgres;
  let standby: FaultyPostgres;
  let world: World | undefined;
  let log: string[] = [];

  before(async () => {
    postgres = await FaultyPostgres.start();
    await postgres.query('postgres', `create database ${DATABASE}`);
    await migrate(postgres.url(DATABASE));
    standby = await postgres.standby();
  });
  beforeEach(() => (log = []));
  afterEach(async () => {
    await world?.close();
    world = undefined;
  });
  after(async () => {
    await standby.stop();
    await postgres.stop();
  });

  const start = async (replicaUrl = standby.url(DATABASE), env: NodeJS.ProcessEnv = {}) => {
    const database = { url: postgres.url(DATABASE), drop: () => Promise.resolve() };
    world = await createWorld({ DATABASE_REPLICA_URL: replicaUrl, ...env }, database, (line) =>
      log.push(line),
    );
    return world;
  };
  const startUsed = async () => {
    const started = await start();
    await until('the replica to be used', replicasAreUsed);
    return started;
  };
  const told = (text: string) => log.filter((line) => line.includes(text)).length;
  const uses = () => told('the replica is used for reads');
  /** It has come into use so often, or once more for each time that a machine which stood still put it out of use. */
  const expectUses = (many: number) =>
    expect(uses()).to.be.within(many, Math.max(many, 1 + told('the replica cannot be used')));
  const replicas = async () => {
    const { body } = await world!.anonymous.get<{ parts: { replicas: { status: string } } }>('/readyz');
    return body.parts.replicas;
  };
  const replicasAreUsed = async () => (await replicas()).status === 'ok';
  /** Answers so far, by the server that they were read from. */
  const reads = async () => {
    const { values } = await world!.ctx.metrics.reads.get();
    const of = (server: string) => values.find(({ labels }) => labels.server === server)?.value ?? 0;
    return { replica: of('replica'), primary: of('primary') };
  };
  const write = async (user: TestUser, title: string, content = 'x') => {
    const { status, body } = await user.post<{ id: number }>('/posts', { title, content });
    expect(status).to.equal(201);
    return body.id;
  };
  const list = async (user: TestUser, query = ''): Promise<Listed[]> => {
    const { status, body } = await user.get<Listed[]>(`/posts?limit=100${query}`);
    expect(status, JSON.stringify(body)).to.equal(200);
    return body;
  };
  /** Sets what holds the standby back. */
  const holdBack = async (delay: string) => {
    await standby.query('postgres', `alter system set recovery_min_apply_delay = '${delay}'`);
    await standby.query('postgres', 'select pg_reload_conf()');
  };
  /** Reads with several at once, until it is stopped; each answer must be a page. */
  const readers = (user: TestUser, ids: readonly number[]) => {
    let isOver = false;
    let count = 0;
    const paths = ['/posts', '/posts?sort=top', '/posts?search=text', `/posts/${ids[0]}/replies`];
    const read = async (from: number) => {
      for (let n = from; !isOver; n += 1) {
        const { status, body } = await user.get(paths[n % paths.length]!);
        expect(status, JSON.stringify(body)).to.equal(200);
        count += 1;
      }
    };
    const all = Promise.all([0, 1, 2, 3, 4, 5].map(read));
    return {
      more: async (many: number) => {
        const wanted = count + many;
        await Promise.race([until(`${many} more answers`, () => count >= wanted), all]);
      },
      stop: () => {
        isOver = true;
        return all;
      },
    };
  };
  /** Writes of every kind, and a look at each: nothing is ever older than the answer to the write. */
  const seeOwnWrites = async (ada: TestUser, ben: TestUser, rounds: number) => {
    for (let round = 0; round < rounds; round += 1) {
      const title = `${ada.username} ${round}`;
      const id = await write(ada, title);
      expect((await list(ben))[0]).to.include({ id, title, votes: 0, voted: false });
      expect((await ben.put(`/posts/${id}/vote`)).status).to.equal(200);
      expect((await list(ben))[0]).to.include({ id, votes: 1, voted: true });
      expect((await list(ada, '&sort=top')).find((post) => post.id === id)).to.include({
        votes: 1,
        voted: false,
      });
      expect((await ada.patch(`/posts/${id}`, { title: `${title} again` })).status).to.equal(200);
      const found = await list(ben, `&search=${encodeURIComponent(`${title} again`)}`);
      expect(found.map((post) => post.id)).to.include(id);
      const reply = await ben.post<{ id: number }>(`/posts/${id}/replies`, { content: 'yes' });
      expect(reply.status).to.equal(201);
      const thread = await ada.get<Listed[]>(`/posts/${id}/replies`);
      expect(thread.body.map((post) => post.id)).to.deep.equal([reply.body.id]);
      expect((await ben.put(`/users/${ada.id}/block`)).status).to.equal(200);
      expect((await list(ben)).map((post) => post.owner_id)).to.not.include(ada.id);
      expect((await ben.delete(`/users/${ada.id}/block`)).status).to.equal(200);
      expect((await list(ben))[0]).to.include({ id });
      expect((await ada.delete(`/posts/${id}`)).status).to.equal(204);
      expect((await list(ben)).map((post) => post.id)).to.not.include(id);
      expect((await ada.get(`/posts/${id}/replies`)).status).to.equal(404);
    }
  };

  it('serve pages, searches and threads in the place of the primary', async () => {
    const { ctx } = await startUsed();
    const user = await world!.user();
    const id = await write(user, 'read elsewhere', 'text');
    await user.post(`/posts/${id}/replies`, { content: 'yes' });
    // Not before the write is replayed, nor while the machine stands still.
    await until('all six to be read from the replica', async () => {
      const before = await reads();
      for (const query of ['', '&sort=top', '&sort=hot', '&search=elsewhere', `&owner_id=${user.id}`])
        expect(
          (await list(user, query)).map((post) => post.id),
          query,
        ).to.include(id);
      expect((await user.get<Listed[]>(`/posts/${id}/replies`)).body).to.have.length(1);
      const after = await reads();
      return after.replica === before.replica + 6 && after.primary === before.primary;
    });
    const asked = await standby.query<{ query: string }>(
      DATABASE,
      `select query from pg_stat_activity where application_name = 'tidings-replica'`,
    );
    expect(asked.map(({ query }) => query).join()).to.include('feed_head h');
    expect(ctx.feed.epoch).to.be.a('string');
    expectUses(1);
  });

  it('serve replays of events that the ring buffer has no more', async () => {
    await postgres.query(
      DATABASE,
      appendPosts(
        `select 'post:created', n, json_build_object('id', n) from generate_series(900001, 902500) n`,
      ),
    );
    let rows = 1;
    while (rows > 0) rows = (await postgres.query(DATABASE, 'select from number_events(500)')).length;
    await startUsed();
    const user = await world!.user();
    const { epoch, seq } = world!.ctx.feed;
    await until('a replay from the replica', async () => {
      const before = await reads();
      const { status, body } = await user.get<{ events: { seq: number }[] }>(
        `/events?after=${seq - 2500}&epoch=${epoch}&limit=10`,
      );
      expect(status).to.equal(200);
      expect(body.events.map((event) => event.seq)).to.deep.equal(
        Array.from({ length: 10 }, (_, n) => seq - 2499 + n),
      );
      return (await reads()).replica > before.replica;
    });
  });

  it('never show less than what a writer has been answered, streaming or held back by two seconds', async () => {
    await startUsed();
    const [ada, ben] = [await world!.user(), await world!.user()];
    // A busy replica is often later than a read waits for it.
    await until('reads from the replica', async () => {
      await seeOwnWrites(ada, ben, 6);
      return (await reads()).replica > 20;
    });
    await holdBack('2s');
    try {
      await seeOwnWrites(ada, ben, 10);
    } finally {
      await holdBack('0');
    }
    await until('the replica to be up to date again', async () => {
      const before = await reads();
      await list(ada);
      return (await reads()).replica > before.replica;
    });
  });

  it('never show less while their replay stops and goes on', async () => {
    await startUsed();
    const [ada, ben] = [await world!.user(), await world!.user()];
    let isOver = false;
    const toggle = async () => {
      for (let n = 0; !isOver; n += 1)
        await standby.query(
          'postgres',
          n % 2 === 0 ? 'select pg_wal_replay_pause()' : 'select pg_wal_replay_resume()',
        );
      await standby.query('postgres', 'select pg_wal_replay_resume()');
    };
    const toggled = toggle();
    try {
      await seeOwnWrites(ada, ben, 10);
    } finally {
      isOver = true;
      await toggled;
    }
  });

  it('give positions from which nothing is missing', async () => {
    await startUsed();
    const [ada, ben] = [await world!.user(), await world!.user()];
    const { epoch } = world!.ctx.feed;
    const pages: Answer<Listed[]>[] = [];
    const written: number[] = [];
    let isOver = false;
    const reading = (async () => {
      while (!isOver) pages.push(await ben.get<Listed[]>(`/posts?limit=100&owner_id=${ada.id}`));
    })();
    for (let n = 0; n < 60; n += 1) written.push(await write(ada, `number ${n}`));
    await until('reads from the replica', async () => (await reads()).replica > 0);
    isOver = true;
    await reading;
    await until('all to be numbered', () =>
      world!.ctx.feed.remembered.some(({ entityId }) => entityId === written.at(-1)),
    );
    for (const { body, headers } of pages) {
      expect(headers.get('x-feed-epoch')).to.equal(epoch);
      const after = Number(headers.get('x-feed-seq'));
      const { body: rest } = await ben.get<{ events: { data: { id: number } }[] }>(
        `/events?after=${after}&epoch=${epoch}&limit=500`,
      );
      const all = new Set([...body.map(({ id }) => id), ...rest.events.map(({ data }) => data.id)]);
      expect(written.filter((id) => !all.has(id))).to.deep.equal([]);
    }
  });

  it('prove pages that were kept from the other server as it would itself', async () => {
    const primary = new Database({ url: postgres.url(DATABASE), pool: 4, log: createLogger('silent') });
    const replica = new Database({
      url: standby.url(DATABASE),
      pool: 4,
      log: createLogger('silent'),
      replica: {},
    });
    const run = (sql: string) => postgres.query<Record<string, string>>(DATABASE, sql);
    const slow: pg.Client[] = [];
    let turn = 0;
    const reader = new FeedReader(
      { share: (user) => ((turn += 1) % 2 === 0 ? primary : replica).share(user) },
      () => Promise.resolve(true),
    );
    try {
      await run('create table subtransactions (n integer)');
      const [user] = await run(
        `insert into users (email, username, password_hash) values ('kept@example.org', 'kept', 'x') returning id`,
      );
      const write = async (title: string) => {
        const [post] = await run(
          `with post as (
             insert into posts (owner_id, title, content, published) values (${user!.id}, '${title}', '', true) returning id
           ), tally as (
             insert into post_tallies (post_id, hot) select id, 0 from post
           ), told as (
             ${appendPosts(`select 'post:created', id, json_build_object('id', id) from post`)}
           )
           select id from post`,
        );
        return post!.id!;
      };
      const vote = (post: string, up: boolean) =>
        `select * from cast_votes('{${user!.id}}', '{${post}}', '{${up}}', true)`;
      /** A vote that is not yet committed, of a transaction with more parts than a snapshot lists. */
      const voteSlowly = async (post: string, up: boolean) => {
        const client = new pg.Client({ connectionString: postgres.url(DATABASE) });
        slow.push(client);
        await client.connect();
        await client.query('begin');
        await client.query(`do $$ begin for n in 1..80 loop
          begin insert into subtransactions values (n); exception when others then null; end;
        end loop; end $$`);
        await client.query(vote(post, up));
        return client;
      };
      const compare = async (what: string) => {
        const [flushed] = await run('select pg_current_wal_flush_lsn() as wal');
        await until('the replay', async () => {
          const [row] = await standby.query<{ done: boolean }>(
            DATABASE,
            `select pg_last_wal_replay_lsn() >= '${flushed!.wal}' as done`,
          );
          return row?.done === true;
        });
        for (const sort of ['new', 'top'] as const) {
          const truth = await run(
            `select p.title, t.votes from posts p join post_tallies t on t.post_id = p.id where p.owner_id = ${user!.id}
             order by ${sort === 'new' ? 'p.listed_at' : 't.votes'} desc, p.id desc limit 50`,
          );
          for (let time = 0; time < 3; time += 1) {
            const list: ListPosts = {
              limit: 50,
              skip: 0,
              search: '',
              sort,
              view: 'all',
              replies: false,
              owner_id: Number(user!.id),
            };
            const { json } = await reader.read(Number(user!.id), list, { senders: ['a'] });
            const seen = (JSON.parse(String(json)) as Listed[]).map(({ title, votes }) => ({ title, votes }));
            expect(seen, `${what}, sort=${sort}`).to.deep.equal(truth);
          }
        }
      };
      const posts = [
        await write('first'),
        await write('second'),
        await write('third'),
        await write('fourth'),
      ];
      const number = () => run('select from number_events(100)');
      await number();
      await compare('at the start');
      for (let round = 0; round < 4; round += 1) {
        const up = round % 2 === 0;
        const first = await voteSlowly(posts[0]!, up);
        await compare('before the commit of a vote');
        const second = await voteSlowly(posts[1]!, up);
        await run(vote(posts[2]!, up));
        await compare('after a vote between two that are in progress');
        await second.query('commit');
        await compare('after the commit of the later one');
        await write(`round ${round}`);
        await compare('after a post without a number');
        await number();
        await compare('after its number');
        await first.query(round === 1 ? 'rollback' : 'commit');
        await compare('after the end of the earlier one');
      }
    } finally {
      for (const client of slow) await client.end();
      await primary.close();
      await replica.close();
    }
  });

  it('may be killed, frozen and come back: every read is answered', async () => {
    await startUsed();
    const user = await world!.user();
    const ids = [await write(user, 'one', 'some text'), await write(user, 'two', 'more text')];
    const reading = readers(user, ids);
    await reading.more(50);
    await standby.crash();
    await reading.more(100);
    await until('the replica to be out of use', async () => !(await replicasAreUsed()));
    await reading.more(50);
    await standby.up();
    await until('the replica to be used again', replicasAreUsed);
    await reading.more(50);
    await standby.freeze();
    try {
      await until('the frozen replica to be out of use', async () => !(await replicasAreUsed()));
      await reading.more(50);
    } finally {
      standby.thaw();
    }
    await until('the replica to be used again', replicasAreUsed);
    const { replica } = await reads();
    await until('reads from it', async () => (await reads()).replica > replica + 20);
    await reading.stop();
    expectUses(3);
  });

  type Share = Awaited<ReturnType<Replicas['share']>>;
  /** The replica alone, without a service that uses it. */
  const withReplicas = async (
    use: (replicas: Replicas, answeredBy: string[]) => Promise<void>,
    urls = [standby.url(DATABASE)],
  ) => {
    const silent = createLogger('silent');
    const [databaseUrl, answeredBy] = [postgres.url(DATABASE), [] as string[]];
    const db = new Database({ url: databaseUrl, pool: 4, log: silent });
    const feedPool = createFeedPool(databaseUrl, silent, 2);
    const [head] = await postgres.query<{ epoch: string }>(DATABASE, 'select epoch::text from feed_head');
    const identity = new DatabaseIdentity(() => Promise.reject(new Error('not asked')), silent);
    const replicas = new Replicas({
      ...{ urls, databaseUrl, db, feedPool, identity },
      pool: 2,
      maxAge: 600_000,
      epoch: () => head!.epoch,
      reopened: () => Promise.resolve(),
      mayUse: () => true,
      onRead: (by) => answeredBy.push(by),
      log: silent,
    });
    replicas.start();
    try {
      await until('the replicas to be used', () => replicas.all.every(({ isInUse }) => isInUse));
      await use(replicas, answeredBy);
    } finally {
      await replicas.stop();
      await feedPool.end();
      await db.close();
    }
  };
  /** A share that the replica answers. */
  const shareOf = async (
    replicas: Replicas,
    answeredBy: string[],
    user: Parameters<Replicas['share']>[0] = 'service',
  ) => {
    let share: Share | undefined;
    await until('the replica to be chosen', async () => {
      share = await replicas.share(user);
      return answeredBy.at(-1) === 'replica';
    });
    answeredBy.length = 0;
    return share!;
  };
  const isOnStandby = async (share: Share) => {
    const [row] = await share.query<{ standby: boolean }>('select pg_is_in_recovery() as standby', {
      type: QueryTypes.SELECT,
    });
    return row?.standby;
  };
  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    );

  it('are not asked for the rest of an answer once they have been away', async () => {
    await withReplicas(async (replicas, answeredBy) => {
      const [replica] = replicas.all;
      const share = await shareOf(replicas, answeredBy);
      expect(await isOnStandby(share)).to.equal(true);
      await standby.down();
      await until('the replica to be out of use', () => !replica!.isInUse);
      await standby.up();
      await until('the replica to be used again', () => replica!.isInUse);
      expect(await isOnStandby(share)).to.equal(false);
      expect(answeredBy).to.deep.equal(['primary']);
      expect(await isOnStandby(await shareOf(replicas, answeredBy))).to.equal(true);
    });
  });

  it('are not followed by the primary for what has taken too long, or whose client has left', async () => {
    await withReplicas(async (replicas, answeredBy) => {
      const asleep = `from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' and query like '%pg_sleep(%'`;
      const cancel = async (count: number) => {
        await until('the statements on the replica', async () => {
          return (await standby.query(DATABASE, `select ${asleep}`)).length === count;
        });
        await standby.query(DATABASE, `select pg_cancel_backend(pid) ${asleep}`);
      };
      const share = await shareOf(replicas, answeredBy);
      const slow = failureOf(share.query('select pg_sleep(8)'));
      await cancel(1);
      expect(databaseErrorCode(await slow)).to.equal('57014');
      expect(answeredBy).to.deep.equal([]);

      const slowRead = failureOf(
        replicas.readLog((source) => source.query('select pg_sleep(3)') as Promise<unknown>),
      );
      await cancel(1);
      expect(databaseErrorCode(await slowRead)).to.equal('57014');
      expect(answeredBy).to.deep.equal(['replica']);

      const [client, gone] = [new AbortController(), new Error('the client has left')];
      const left = await shareOf(replicas, answeredBy, { senders: ['a'], signal: client.signal });
      const busy = [1, 2].map(() => failureOf(share.query('select pg_sleep(8)')));
      const waiting = failureOf(left.query('select 1'));
      await until('it to wait', () => replicas.all[0]!.db.waiting === 1);
      client.abort(gone);
      expect(await waiting).to.equal(gone);
      await cancel(2);
      await Promise.all(busy);
      expect(await failureOf(left.query('select 1'))).to.equal(gone);
      expect(answeredBy).to.deep.equal([]);
    });
  });

  it('behind one address are used one at a time, and give nothing older', async () => {
    const second = await postgres.standby();
    const lost = `select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('tidings-replica', 'tidings-replica-feed')`;
    let ports = [standby.port];
    let turn = 0;
    const proxy = await TcpProxy.start({ targets: () => [ports[(turn += 1) % ports.length]!] });
    try {
      await start(standby.url(DATABASE, proxy.port));
      await until('the replica to be used', replicasAreUsed);
      ports = [second.port, second.port, standby.port];
      await second.query('postgres', 'select pg_wal_replay_pause()');
      const [ada, ben] = [await world!.user(), await world!.user()];
      await seeOwnWrites(ada, ben, 3);
      const reading = readers(ada, [await write(ada, 'one', 'text')]);
      await reading.more(100);
      await until('reads from it', async () => (await reads()).replica > 20);
      await reading.stop();
      await until('a word of it', () => told('The address leads to several servers.') > 0);
      expect(told('The address leads to several servers.')).to.equal(1);
      expect([told('cannot be used'), told('the replica is used for reads')]).to.deep.equal([0, 1]);

      await second.query('postgres', 'select pg_wal_replay_resume()');
      ports = [second.port];
      await standby.query(DATABASE, lost);
      await until('the other to be used', async () => {
        await list(ada);
        return told('the replica is used for reads') === 2;
      });
      await until('reads from the other', async () => {
        await list(ada);
        const used = `select from pg_stat_activity where application_name = 'tidings-replica'`;
        return (await second.query(DATABASE, used)).length > 0;
      });
      await seeOwnWrites(ada, ben, 2);
    } finally {
      await world?.close();
      world = undefined;
      await proxy.stop();
      await second.stop();
    }
  });

  it('are not tried for ever at one pace where new connections always lead elsewhere, and it is told once', async () => {
    const second = await postgres.standby();
    let isBalanced = true;
    let controls = 0;
    // As with the fewest connections: the one that asks where it stands is at the first server, all others go to the second.
    const proxy: TcpProxy = await TcpProxy.start({
      targets: () => {
        if (proxy.size === 0) controls += 1;
        return [isBalanced && proxy.size > 0 ? second.port : standby.port];
      },
    });
    try {
      await start(standby.url(DATABASE, proxy.port));
      await until('the replica to be used', replicasAreUsed);
      const user = await world!.user();
      const reading = readers(user, [await write(user, 'one', 'some text')]);
      await until('a word of it', () => told('The address leads to other servers by now.') > 0);
      const [used, tried] = [uses(), controls];
      await until('three more tries', () => controls >= tried + 3);
      expect([told('The address leads to other servers by now.'), uses()]).to.deep.equal([1, used]);
      isBalanced = false;
      await until('the replica to be used again', () => uses() > used);
      await reading.stop();
    } finally {
      await world?.close();
      world = undefined;
      await proxy.stop();
      await second.stop();
    }
  });

  it('are not used while their log has another epoch, as that of a primary which was put aside', async () => {
    await standby.query('postgres', 'select pg_wal_replay_pause()');
    try {
      await postgres.query(DATABASE, 'update feed_head set epoch = gen_random_uuid()');
      await start();
      await until('a word of it', () => told('Its log has another epoch') > 0);
      expect(uses()).to.equal(0);
      const client = new pg.Client({ connectionString: postgres.url(DATABASE) });
      await client.connect();
      const config = readConfig({
        DATABASE_URL: postgres.url(DATABASE),
        DATABASE_REPLICA_URL: standby.url(DATABASE),
      });
      const [finding] = await findReplicaFaults(config, client);
      await client.end();
      expect(finding?.what).to.include(`${standby.port} is not used: Its log has another epoch`);
    } finally {
      await standby.query('postgres', 'select pg_wal_replay_resume()');
    }
    await until('the replica to be used', () => uses() === 1);
  });

  it('are probed for a pooler within the limits of the caller, and no longer than it wants to know', async () => {
    const silent = await TcpProxy.start({ targets: () => [standby.port] });
    silent.tap = () => new Promise<never>(() => undefined);
    try {
      const url = standby.url(DATABASE, silent.port);
      const leaving = new AbortController();
      const probe = failureOf(refuseTransactionPooling(url, { signal: leaving.signal }));
      await until('it to connect', () => silent.size === 1);
      leaving.abort();
      expect(await probe).to.equal(leaving.signal.reason);
      const watch = new Stopwatch();
      const late = await failureOf(refuseTransactionPooling(url, { connectTimeout: 100, queryTimeout: 100 }));
      expect(String(late)).to.include('timeout');
      expect(watch.ran).to.be.lessThan(5000);
    } finally {
      await silent.stop();
    }
  });

  it('stay in use while single connections are refused or killed', async () => {
    await postgres.query('postgres', `create role reader login password 'reader' connection limit 4`);
    await postgres.query('postgres', 'grant pg_read_all_data, pg_monitor to reader');
    await until('the role on the replica', async () => {
      const found = await standby.query('postgres', `select from pg_roles where rolname = 'reader'`);
      return found.length === 1;
    });
    const url = new URL(standby.url(DATABASE));
    url.username = url.password = 'reader';
    await start(url.href);
    await until('the replica to be used', replicasAreUsed);
    const user = await world!.user();
    const reading = readers(user, [await write(user, 'one', 'some text')]);
    await until('a refused connection', async () => {
      await reading.more(20);
      return told('the replica has no room for a read') > 0;
    });
    for (let n = 0; n < 10; n += 1) {
      await standby.query(
        DATABASE,
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidings-replica'`,
      );
      await reading.more(20);
    }
    const { replica } = await reads();
    await until('reads from it', async () => (await reads()).replica > replica + 20);
    await reading.stop();
    expect([told('cannot be used'), told('the replica is used for reads')]).to.deep.equal([0, 1]);
    expect(told('the replica has no room for a read')).to.equal(1);
  });

  it('may be ahead: a position that the primary has a moment later is none of the future', async () => {
    const { ctx } = await startUsed();
    const { feed, delivery } = ctx;
    const user = await world!.user();
    const socket = world!.socket({ token: user.token, topics: ['thread:1'] });
    expect(await readyOf(socket)).to.include({ outcome: 'current' });
    const [epoch, after] = [feed.epoch, feed.seq + 1];
    const polled = user.get(`/events?after=${after}&epoch=${epoch}`);
    const resumed = readyOf(world!.socket({ token: user.token, after, epoch }));
    const subscribed = new Promise<object>((resolve) =>
      socket.emit('subscribe', { topics: ['thread:2'], from: after }, resolve),
    );
    await until('all to have come', () => delivery.size === 3);
    for (let looks = 0; looks < 3; looks += 1) await feed.reopened();
    const event = appendPosts(`values ('post:deleted', 999999999, '{"id":999999999}'::json)`);
    await postgres.query(DATABASE, event);
    await postgres.query(DATABASE, 'select from number_events(500)');
    const { status, body } = await polled;
    expect(status, JSON.stringify(body)).to.equal(200);
    expect(await resumed).to.include({ outcome: 'current', seq: after });
    expect(await subscribed).to.deep.equal({ ok: true, data: { seq: after, events: [] } });
  });

  it('are not used through a pooler in transaction mode, not even one that had another', async () => {
    const session: BouncerOptions = { settings: { pool_mode: 'session' } };
    const transaction: BouncerOptions = { settings: { pool_mode: 'transaction' } };
    const bouncer = await PgBouncer.start(standby.url(DATABASE), transaction);
    try {
      await start(bouncer.url);
      await until('the refusal', () => told('DATABASE_REPLICA_URL leads through a pooler') === 1);
      expect(told('the replica is used for reads')).to.equal(0);
      await bouncer.reload(session);
      await until('the replica to be used', replicasAreUsed);
      const user = await world!.user();
      const reading = readers(user, [await write(user, 'one', 'some text')]);
      await until('reads from it', async () => (await reads()).replica > 20);
      await bouncer.reload(transaction);
      await until('the other mode to be noticed', async () => !(await replicasAreUsed()));
      await until('the refusal', () => told('DATABASE_REPLICA_URL leads through a pooler') === 2);
      await reading.stop();
    } finally {
      await world?.close();
      world = undefined;
      await bouncer.stop();
    }
  });

  it('are examined by the doctor', async () => {
    const bouncer = await PgBouncer.start(standby.url(DATABASE), { settings: { pool_mode: 'transaction' } });
    const client = new pg.Client({ connectionString: postgres.url(DATABASE) });
    await client.connect();
    try {
      const examined = async (replicaUrl: string, pool = '10') => {
        const config = readConfig({
          DATABASE_URL: postgres.url(DATABASE),
          DATABASE_REPLICA_URL: replicaUrl,
          DATABASE_POOL: pool,
        });
        return (await findReplicaFaults(config, client)).map(({ what }) => what);
      };
      const replica = standby.url(DATABASE);
      const wrong = new URL(replica);
      wrong.password = 'wrong';
      const one = `The replica 127.0.0.1:${standby.port} is not used:`;
      expect(await examined(replica)).to.deep.equal([]);
      expect(await examined(`${replica} ${postgres.url(DATABASE)}`)).to.deep.equal([
        `The replica 127.0.0.1:${postgres.port} is not used: It is not a standby.`,
      ]);
      expect(await examined(standby.url('postgres'))).to.deep.equal([
        `${one} Its address names another database or schema than DATABASE_URL.`,
      ]);
      const [refused = ''] = await examined(wrong.href);
      expect(refused).to.include(`${one} password authentication failed`);
      const [untrusted = ''] = await examined(`${replica}?sslmode=require`);
      expect(untrusted).to.include('does not support SSL');
      const [absent = ''] = await examined(standby.url(DATABASE, 1));
      expect(absent).to.include('ECONNREFUSED');
      const [full = ''] = await examined(replica, '198');
      expect(full).to.include('and 201 are needed');
      const [shared = ''] = await examined(bouncer.url);
      expect(shared).to.include('DATABASE_REPLICA_URL leads through a pooler');
    } finally {
      await client.end();
      await bouncer.stop();
    }
  });

  it('need not be there at the start', async () => {
    await start('postgres://nobody:nothing@127.0.0.1:1/nowhere');
    const user = await world!.user();
    const id = await write(user, 'alone');
    expect((await list(user))[0]).to.include({ id });
    await until('a warning', () => told('the replica cannot be used') > 0);
    expect(told('the replica cannot be used')).to.equal(1);
    expect(await replicas()).to.deep.equal({ status: 'degraded', reason: '0 of 1 replicas are in use.' });
  });

  it('are not used from another database, of another cluster, or once they are promoted', async () => {
    const other = await FaultyPostgres.start();
    const otherStandby = await other.standby();
    const copy = await postgres.copy();
    const promoted = await postgres.standby();
    try {
      const urls = [
        promoted.url(DATABASE),
        copy.url(DATABASE),
        standby.url('postgres'),
        otherStandby.url('postgres'),
      ];
      await start(urls.join('\n'));
      await until('all to be refused that are none', () =>
        ['It is not a standby.', 'another database or schema', 'another cluster'].every(
          (why) => told(why) > 0,
        ),
      );
      await until('the replica to be used', () => uses() > 0);
      const user = await world!.user();
      const id = await write(user, 'one');
      await until('a read from the replica', async () => {
        await list(user);
        return (await reads()).replica > 0;
      });
      await promoted.promote();
      await until('the promotion to be noticed', () => told('It is not a standby.') > 1);
      await promoted.query(DATABASE, `update posts set title = 'elsewhere' where id = $1`, [id]);
      const { replica } = await reads();
      const used = uses();
      for (let n = 0; n < 20; n += 1) {
        expect((await list(user)).find((post) => post.id === id)).to.include({ title: 'one' });
        await write(user, `more ${n}`);
      }
      expect((await reads()).replica).to.equal(replica);
      expect(uses()).to.equal(used);
    } finally {
      await world?.close();
      world = undefined;
      for (const server of [promoted, copy, otherStandby, other]) await server.stop();
    }
  });
});
