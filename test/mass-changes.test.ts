import { expect } from 'chai';
import type pg from 'pg';
import { Connections } from '../server/delivery/connections.ts';
import type { Identity } from '../server/identity.ts';
import { LiveSessions } from '../server/auth/live-sessions.ts';
import { SessionRecheck } from '../server/auth/session-recheck.ts';
import { createFeedPool } from '../server/database/connection.ts';
import type { PostView, Tally } from '../server/contract.ts';
import { Follower } from '../server/log/follower.ts';
import { MissedTallies } from '../server/counters/missed-tallies.ts';
import { TAIL_LIMITS } from '../server/log/tail.ts';
import { TallyCoalescer } from '../server/counters/tally-coalescer.ts';
import { TallyRefresh } from '../server/counters/tally-refresh.ts';
import type { FeedPage } from '../server/posts/list-statement.ts';
import { lookAt } from '../server/posts/page-cache.ts';
import { createLogger } from '../server/logger.ts';
import { type LogEntry, PAGE_BYTES, readLog } from '../server/log/reader.ts';
import { appendPosts } from './support/append-sql.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { caughtUp, execute, numberOf, rows } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { createWorld, logIn, type TestUser, type World } from './support/world.ts';

const log = createLogger('silent');

describe('one transaction that changes very many rows', () => {
  let world: World;
  let alice: TestUser;
  let bob: TestUser;
  let feedPool: pg.Pool;
  const stops: (() => unknown)[] = [];

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
    bob = await world.user('bob');
    feedPool = createFeedPool(world.databaseUrl, log, 4);
    // More posts than a node tells the tallies of one by one.
    await execute(
      world,
      `with p as (insert into posts (owner_id, title, content)
         select $1, 'imported ' || n, '' from generate_series(1, $2) n returning id)
       insert into post_tallies (post_id, hot) select id, 0 from p`,
      [alice.id, TAIL_LIMITS.tallies + 2000],
    );
  });
  afterEach(async () => {
    endRawClients();
    for (const stop of stops.splice(0)) await stop();
  });
  after(async () => {
    await feedPool.end();
    await world.close();
  });

  /** Everything that a follower with small limits tells of the world's database. */
  const follow = async () => {
    const follower = new Follower({
      pool: feedPool,
      log,
      interval: () => 20,
      limits: { tallies: 10, revocations: 5 },
    });
    stops.push(() => follower.stop());
    const told = { tallies: [] as Tally[], users: [] as number[], tooManyTallies: 0, tooManyRevocations: 0 };
    follower.on('tallies', (tallies) => told.tallies.push(...tallies));
    follower.on('revocations', (rows) => told.users.push(...rows.map(({ userId }) => userId)));
    follower.on('tooManyTallies', () => (told.tooManyTallies += 1));
    follower.on('tooManyRevocations', () => (told.tooManyRevocations += 1));
    await follower.start();
    return { follower, told };
  };
  const votes = (client: RawClient) => client.heard('votes') as [Tally[], { incomplete: true }?][];
  const newest = (client: RawClient, postId: number) =>
    votes(client)
      .flatMap(([tallies]) => tallies)
      .findLast((tally) => tally.post_id === postId);
  const recount = 'update post_tallies set rev = rev + 1, votes = 7, xid = pg_current_xact_id()';

  it('of long posts is read and told in pages that are bounded in bytes', async () => {
    const MANY = 60;
    const { body: model } = await alice.post<PostView>('/posts', { title: 'a model', content: '' });
    await caughtUp(world);
    const head = world.ctx.feed.seq;
    const bytes = (entries: readonly LogEntry[]) =>
      entries.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0);
    const { follower } = await follow();
    const pages: number[] = [];
    follower.on('events', (entries) => pages.push(bytes(entries)));
    world.ctx.feed.on('events', (entries) => pages.push(bytes(entries)));
    await execute(
      world,
      `with p as (
         insert into posts (owner_id, title, content)
         select $1, 'long ' || n, repeat('𝄞', 10000) from generate_series(1, $2::integer) n returning id, title, content
       ), t as (insert into post_tallies (post_id, hot) select id, 0 from p)
       ${appendPosts(`select 'post:created', p.id,
         (e.data::jsonb || jsonb_build_object('id', p.id, 'title', p.title, 'content', p.content))::json
       from p, event_log e where e.entity_id = $3 order by p.id`)}`,
      [alice.id, MANY, model.id],
    );
    await until('all of them', () => follower.seq === head + MANY && world.ctx.feed.seq === head + MANY);
    expect(pages.reduce((sum, page) => sum + page)).to.be.greaterThan(2 * MANY * 40_000);
    expect(Math.max(...pages)).to.be.most(PAGE_BYTES);
    expect(bytes(await readLog(feedPool, head))).to.be.most(PAGE_BYTES);

    // A socket that was away hears each of them once, in order.
    const back = await RawClient.join(world.url, {
      token: bob.token,
      after: head,
      epoch: world.ctx.feed.epoch,
    });
    await until('its events', () => back.seqs().length >= MANY);
    expect(back.seqs()).to.deep.equal(Array.from({ length: MANY }, (_, at) => head + 1 + at));
  });

  it('is told one by one up to the limit, and of more only that they are too many', async () => {
    const { told } = await follow();
    const some = (many: number) =>
      execute(
        world,
        `${recount} where post_id in (select post_id from post_tallies order by post_id limit ${many})`,
      );
    await some(10);
    await until('ten tallies', () => told.tallies.length === 10);
    expect(told.tooManyTallies).to.equal(0);
    await some(11);
    await until('the sign of more', () => told.tooManyTallies === 1);
    await some(3);
    await until('the next tallies', () => told.tallies.length === 13);
    expect(told.tooManyTallies).to.equal(1);
  });

  it('ends sessions one by one up to the limit, and of more tells only that they are too many', async () => {
    const { told } = await follow();
    const end = (many: number, from: number) =>
      execute(
        world,
        'insert into revocations (user_id) select n from generate_series($1::bigint, $2::bigint) n',
        [from, from + many - 1],
      );
    await end(5, 1e9);
    await until('five revocations', () => told.users.length === 5);
    await end(6, 2e9);
    await until('the sign of more', () => told.tooManyRevocations === 1);
    await end(1, 3e9);
    await until('the next one', () => told.users.includes(3e9));
    expect(told.users).to.have.lengthOf(6);
    expect(told.tooManyRevocations).to.equal(1);
  });

  it('is told once each, also while another transaction runs for long and when that one commits at last', async () => {
    const { told } = await follow();
    const long = await world.pool.connect();
    const ids = (await world.pool.query<{ id: number }>('select id from posts order by id limit 8')).rows.map(
      ({ id }) => id,
    );
    try {
      await long.query('begin');
      await long.query(`${recount} where post_id = $1`, [ids[0]]);
      for (const id of ids.slice(1)) {
        await execute(world, `${recount} where post_id = $1`, [id]);
        await until('its tally', () => told.tallies.at(-1)?.post_id === id);
      }
      await long.query('commit');
    } finally {
      long.release();
    }
    await until('the late one', () => told.tallies.length === 8);
    expect(told.tallies.map(({ post_id }) => post_id)).to.deep.equal([...ids.slice(1), ids[0]]);
    expect(told.tooManyTallies).to.equal(0);
  });

  it('reaches a client that tracks posts exactly, and tells one that wants all that there is more', async () => {
    const old = await numberOf(world, 'select min(id) from posts');
    const front = await numberOf(world, 'select max(id) from posts');
    const tracking = await RawClient.join(world.url, { token: bob.token, tallies: 'tracked' });
    tracking.emit('track', { post_ids: [old] }, 1);
    await tracking.acknowledged(1);
    const all = await RawClient.join(world.url, { token: bob.token });
    await execute(world, recount);
    await until('the tracked tally', () => newest(tracking, old)?.votes === 7);
    await until('the sign of more', () => votes(all).some(([, more]) => more?.incomplete === true));
    // What is likely to be shown is told all the same, and before the sign.
    expect(newest(all, front)?.votes).to.equal(7);
    expect(votes(tracking).some(([, more]) => more !== undefined)).to.be.false;
    const told = votes(all).flatMap(([tallies]) => tallies).length;
    expect(told).to.be.below(2000);
    // The node continues as before.
    const live = votes(all).length;
    await bob.put(`/posts/${old}/vote`);
    await until('a single tally', () => votes(all).length > live && newest(all, old)?.votes === 8);
  });

  it('is told to a client that was away as the tallies that changed last and the sign of more', async () => {
    const { tallies, incomplete } = await new MissedTallies(world.pool, 50).since(0);
    expect(tallies).to.have.length.within(1, 50);
    expect(incomplete).to.be.true;
    const after = world.ctx.feed.seq;
    await execute(world, recount);
    const client = await RawClient.join(world.url, { token: bob.token, after, epoch: world.ctx.feed.epoch });
    await until('the sign of more', () => votes(client).some(([, more]) => more?.incomplete === true));
  });

  it('leaves no more on the coalescer than its limit: the rest is read again', async () => {
    const told: { tallies: Tally[]; incomplete: boolean }[] = [];
    let refreshes = 0;
    let release: (() => void) | undefined;
    const coalescer: TallyCoalescer = new TallyCoalescer({
      window: 10,
      maxWaiting: 3000,
      tell: async (tallies, incomplete) => {
        told.push({ tallies, incomplete });
        if (told.length === 1) await new Promise<void>((resolve) => (release = resolve));
        return 0;
      },
      onCoalesced: () => undefined,
      onOverflow: () => {
        refreshes += 1;
        refresh.request();
      },
    });
    const shown = await numberOf(world, 'select min(id) from posts');
    const { rev } = (
      await world.pool.query<Tally>('select rev from post_tallies where post_id = $1', [shown])
    ).rows[0]!;
    const refresh = new TallyRefresh({ pool: feedPool, log, tracked: () => [shown], coalescer });
    stops.push(
      () => coalescer.stop(),
      () => refresh.stop(),
    );
    coalescer.report([{ post_id: -1, votes: 1, replies: 0, rev: 1 }]);
    await until('a slow delivery', () => release !== undefined);
    coalescer.report([{ post_id: shown, votes: 7, replies: 0, rev }]);
    for (let n = 0; n < 4000; n += 1) {
      coalescer.report([{ post_id: -2 - n, votes: 1, replies: 0, rev: 1 }]);
      expect(coalescer.waiting).to.be.at.most(3000);
    }
    expect(refreshes).to.be.at.least(1);
    release?.();
    await until('the sign of more', () => told.some(({ incomplete }) => incomplete));
    expect(told.flatMap(({ tallies }) => tallies).map(({ post_id }) => post_id)).to.include(shown);
  });

  it('ends exactly the connections of the sessions that ended, and tries again while the database is away', async () => {
    const [kept, ended] = [await logIn(world.url, bob), await logIn(world.url, bob)];
    const identities = [kept, ended].map(({ token }) => world.ctx.tokens.verify(token));
    await world.pool.query('update sessions set revoked_at = now() where id = $1', [
      identities[1]!.sessionId,
    ]);
    const connections = new Connections();
    const closed: Identity[] = [];
    for (const identity of identities) connections.add({ identity, end: () => void closed.push(identity) });
    const share = world.ctx.db.share('sessions');
    let away = true;
    const query = ((...args: Parameters<typeof share.query>) =>
      away ? Promise.reject(new Error('Connection terminated')) : share.query(...args)) as typeof share.query;
    const flaky = { ...share, query };
    const recheck = new SessionRecheck({
      connections,
      liveSessions: new LiveSessions(
        flaky,
        () => 0,
        () => undefined,
      ),
      log,
    });
    stops.push(() => recheck.stop());
    recheck.request();
    await new Promise((resolve) => setImmediate(resolve));
    away = false;
    await until('the end', () => closed.length > 0);
    expect(closed).to.deep.equal([identities[1]]);
    expect(connections.size).to.equal(1);
  });

  it('ends sockets within a second when it ends more sessions than are told one by one', async () => {
    const stays = await RawClient.join(world.url, { token: bob.token });
    const took: number[] = [];
    // The database may have had no processor, and not each time.
    while (took.length < 3 && !(Math.min(...took) < 2000)) {
      const carol = await world.user();
      const gone = await RawClient.join(world.url, { token: carol.token });
      await execute(
        world,
        `with ended as (update sessions set revoked_at = now() where user_id = $1)
         insert into revocations (user_id) select $1::bigint from generate_series(1, $2)`,
        [carol.id, TAIL_LIMITS.revocations + 1],
      );
      const watch = new Stopwatch();
      await until('the end of her socket', () => gone.closed);
      took.push(watch.ran);
      expect((await carol.get('/users/me')).status).to.equal(401);
    }
    expect(Math.min(...took), `${took.join(', ')} ms`).to.be.below(2000);
    expect(stays.closed).to.be.false;
  });

  it('that came with a backup of another cluster is neither written again nor told, and what changes later is', async () => {
    // As restored from a dump: the numbers of transactions are those of a cluster that has had very many.
    const foreign = '1000000000000';
    await execute(world, `update post_tallies set xid = '${foreign}'`);
    await execute(world, `update event_log set horizon = '${foreign}'`);
    const many = await numberOf(world, 'select count(*)::integer from post_tallies');
    const { epoch } = world.ctx.feed;
    await execute(world, `update feed_head set fingerprint = 'of another cluster'`);
    await until('another epoch', () => world.ctx.feed.epoch !== epoch);
    expect(
      await numberOf(world, `select count(*)::integer from post_tallies where xid = '${foreign}'`),
    ).to.equal(many);

    const { told } = await follow();
    await execute(
      world,
      `${recount} where post_id in (select post_id from post_tallies order by post_id desc limit 3)`,
    );
    await until('three tallies', () => told.tallies.length === 3);
    expect(told.tooManyTallies).to.equal(0);
    const { seq } = world.ctx.feed;
    const missed = await new MissedTallies(world.pool, 50).since(seq);
    expect(missed.incomplete).to.be.false;
    expect(missed.tallies.map(({ post_id }) => post_id)).to.have.members(
      told.tallies.map(({ post_id }) => post_id),
    );
    // A page that was read before is proven: of what may have changed since, nothing has but these.
    const share = world.ctx.db.share('pages');
    const page = { horizon: '0', ids: [] } as unknown as FeedPage;
    expect((await lookAt(share, [], [page])).changed).to.have.lengthOf(3);
  });

  it('that came with a backup of another cluster ends no session that began since, when its number is given here', async () => {
    // As restored from a dump of a cluster that is a little ahead: somebody had been suspended, and was no longer.
    const [foreign] = await rows<{ xid: string }>(
      world,
      `insert into revocations (user_id, xid)
       select $1, (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 100)::text::xid8 returning xid::text`,
      [alice.id],
    );
    const isGiven = () =>
      numberOf(world, `select ($1::xid8 < pg_snapshot_xmin(pg_current_snapshot()))::integer`, [foreign!.xid]);
    const { epoch } = world.ctx.feed;
    await execute(world, `update feed_head set fingerprint = 'of another cluster'`);
    await until('another epoch', () => world.ctx.feed.epoch !== epoch);
    expect(await isGiven()).to.equal(0);

    const { told } = await follow();
    while (!(await isGiven())) await execute(world, 'select pg_current_xact_id()');
    await execute(world, 'insert into revocations (user_id) values ($1)', [bob.id]);
    await until('the next end of sessions', () => told.users.includes(bob.id));
    expect(told.users).to.deep.equal([bob.id]);
  });
});
