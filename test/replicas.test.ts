import { expect } from 'chai';
import pg from 'pg';
import { Database } from '../server/database/connection.ts';
import { migrate } from '../server/database/migrate.ts';
import { createLogger } from '../server/logger.ts';
import { FeedReader } from '../server/posts/feed-reader.ts';
import type { ListPosts } from '../server/posts/schemas.ts';
import { FaultyPostgres } from './faults/postgres.ts';
import { appendPosts } from './support/append-sql.ts';
import { until } from './support/waiting.ts';
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
