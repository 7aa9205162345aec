import { expect } from 'chai';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import fc from 'fast-check';
import { createFeedPool } from '../server/database/connection.ts';
import { AppError } from '../server/errors.ts';
import { Follower, READ_SLICE } from '../server/log/follower.ts';
import { createLogger } from '../server/logger.ts';
import { type LogEntry, PAGE_ROWS, readLog } from '../server/log/reader.ts';
import { nextEvents } from '../server/transports/long-poll/long-poll.ts';
import { sharedSecret } from './support/another-node.ts';
import { appendPosts } from './support/append-sql.ts';
import { deliveryOn, heldPool } from './support/bare-delivery.ts';
import { createDatabase, type TestDatabase, startTestPostgres } from './support/postgres.ts';
import { RawClient } from './support/raw-client.ts';
import { firstFault, readyOf } from './support/sockets.ts';
import { caughtUp } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const log = createLogger('silent');
const ELSEWHERE = '00000000-0000-4000-8000-000000000000';

describe('the follower', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  const running: Follower[] = [];

  beforeEach(async () => {
    database = await createDatabase();
    pool = createFeedPool(database.url, log, 4);
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((follower) => follower.stop()));
    await pool.end();
    await database.drop();
  });

  /** Commits events and numbers them, as some node would. */
  const number = async (many: number): Promise<LogEntry[]> => {
    const { rows } = await pool.query<{ head: number }>('select seq as head from feed_head');
    const head = rows[0]!.head;
    await pool.query(
      appendPosts(`select 'post:deleted', n, json_build_object('id', n)
       from generate_series(${head + 1}, ${head + many}) n`),
    );
    while ((await pool.query('select * from number_events(500)')).rowCount);
    return readLog(pool, head, many);
  };

  /** A started follower, with the seqs that it has told. */
  const follow = async (interval: number, on = pool) => {
    const follower = new Follower({ pool: on, log, interval: () => interval });
    running.push(follower);
    const told: number[] = [];
    follower.on('events', (entries) => told.push(...entries.map(({ seq }) => seq)));
    await follower.start();
    return { follower, told };
  };

  it('starts under a node that prunes what it is about to read', async () => {
    for (const pruned of [5, 20]) {
      await number(20);
      const { rows } = await pool.query<{ seq: number }>('select seq from feed_head');
      const { seq } = rows[0]!;
      const floor = seq - 20 + pruned;
      let reads = 0;
      const slow = new Proxy(pool, {
        get: (target, property) => {
          if (property !== 'query') return Reflect.get(target, property, target) as unknown;
          return async (...args: [string | { name: string }]) => {
            const [query] = args;
            if (typeof query === 'object' && query.name === 'log-page' && (reads += 1) === 1) {
              await target.query(`delete from event_log where seq <= ${floor}`);
              await target.query(`update feed_head set floor = ${floor}`);
            }
            return target.query(...(args as [string]));
          };
        },
      });
      const { follower } = await follow(60_000, slow);
      expect(follower.seq).to.equal(seq);
      expect(follower.logFloor).to.equal(floor);
      expect(follower.recent(floor)).to.have.lengthOf(20 - pruned);
      expect(reads).to.be.at.most(3);
    }
  });

  it('tells everything once and in order, whatever becomes of the batches on their way', async () => {
    const { follower, told } = await follow(60_000);
    const start = follower.seq;
    const fate = fc.record({
      cuts: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
      order: fc.array(fc.nat(1000), { minLength: 14, maxLength: 14 }),
      lost: fc.array(fc.nat(13), { maxLength: 4 }),
      holed: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fate, async ({ cuts, order, lost, holed }) => {
        const entries = await number(40);
        const ends = [...new Set([...cuts, 40])].sort((a, b) => a - b);
        const batches = ends.map((end, at) => entries.slice(ends[at - 1] ?? 0, end));
        // Every batch twice, some not at all, one with an event missing in its midst, in any order.
        const sent = [...batches, ...batches].filter((_, at) => !lost.includes(at));
        if (holed && sent[0] && sent[0].length > 2) sent[0] = sent[0].toSpliced(1, 1);
        for (const { batch } of sent
          .map((batch, at) => ({ batch, key: order[at] ?? 0 }))
          .sort((a, b) => a.key - b.key)) {
          follower.offer({
            epoch: ELSEWHERE,
            entries: batch.map((entry) => ({ ...entry, seq: entry.seq + 1 })),
          });
          follower.offer({ epoch: follower.epoch, entries: batch });
        }
        follower.wake();
        await until('all of it', () => follower.seq === entries.at(-1)!.seq);
        expect(firstFault(told, start)).to.be.undefined;
        expect(told.length).to.equal(follower.seq - start);
      }),
      { numRuns: 40 },
    );
  });

  it('takes batches that follow without asking the database for them', async () => {
    const { follower, told } = await follow(60_000);
    const entries = await number(30);
    const [first, second, third] = [entries.slice(0, 10), entries.slice(10, 20), entries.slice(20)];
    for (const batch of [first, second, third]) follower.offer({ epoch: follower.epoch, entries: batch });
    expect(told).to.have.lengthOf(30);
  });

  it('takes no batch that does not look like one, and reads it from the log instead', async () => {
    const { follower, told } = await follow(60_000);
    const entries = await number(3);
    for (const fault of [{ name: { toString: 1 } }, { json: null }, { seq: '1' }, { at: undefined }])
      follower.offer({
        epoch: follower.epoch,
        entries: entries.map((entry): LogEntry => Object.assign({}, entry, fault as object)),
      });
    expect(told).to.be.empty;
    await until('all of it', () => follower.seq === entries.at(-1)!.seq);
    expect(follower.recent(0)).to.deep.equal(entries);
  });

  it('keeps little of what comes early, and misses nothing for it', async () => {
    const { follower, told } = await follow(60_000);
    const entries = await number(6000);
    for (let at = 1; at < 6000; at += 100)
      follower.offer({ epoch: follower.epoch, entries: entries.slice(at, at + 100) });
    expect(told).to.be.empty;
    await until('all of it', () => follower.seq === entries.at(-1)!.seq);
    expect(firstFault(told, 0)).to.be.undefined;
  });

  it('starts also while batches of others come in', async () => {
    const entries = await number(1500);
    const follower = new Follower({ pool, log, interval: () => 60_000 });
    running.push(follower);
    let starting = true;
    const started = follower.start().finally(() => (starting = false));
    // Each is the continuation of what has been read so far, and is in the page that is just being read.
    while (starting) {
      const next = entries[follower.seq];
      if (follower.epoch !== '' && next) follower.offer({ epoch: follower.epoch, entries: [next] });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await started;
    expect(follower.seq).to.equal(1500);
    expect(follower.recent(0)?.map(({ seq }) => seq)).to.deep.equal(entries.map(({ seq }) => seq));
  });

  it('hears revocations also while batches overtake each of its looks at the database', async () => {
    const overtaken = Object.create(pool) as pg.Pool;
    let offer: (() => Promise<void>) | undefined;
    overtaken.query = (async (...args: unknown[]) => {
      const answer = await (pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>)(...args);
      if ((args[0] as { name?: string }).name === 'feed-tail') await offer?.();
      return answer;
    }) as typeof pool.query;
    const { follower, told } = await follow(10, overtaken);
    offer = async () => follower.offer({ epoch: follower.epoch, entries: await number(1) });
    const heard: number[] = [];
    follower.on('revocations', (rows) => heard.push(...rows.map(({ userId }) => userId)));
    const before = follower.readAt;
    await until('some overtaken looks', () => told.length > 5);
    await pool.query('insert into revocations (user_id) values (42)');
    await until('the revocation', () => heard.includes(42));
    expect(follower.readAt).to.be.above(before);
    expect(firstFault(told, 0)).to.be.undefined;
    offer = undefined;
  });

  it('refuses no position that it has not reached yet, however many looks it takes to get there', async () => {
    // Each page takes longer than a node reads the log before it looks at the revocations again.
    const slow = heldPool(pool, {
      before: (name) => (name === 'log-page' ? delay(READ_SLICE + 20) : undefined),
    });
    const { follower } = await follow(60_000, slow);
    const delivery = deliveryOn(follower, pool);
    const user = { id: 1, sessionId: 'one', expiresAt: Infinity };
    const ask = async (after: number): Promise<unknown> => {
      const never = new AbortController().signal;
      try {
        return await nextEvents({ delivery, feed: follower }, user, { after, limit: 10, wait: 0 }, never);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        // On a machine that takes longer for it than a node makes a client wait, it comes back.
        return error.code === 'unavailable' ? ask(after) : (error.toProblem() as { reason?: string }).reason;
      }
    };
    try {
      // From here on their relations are known, which are never ahead of the node.
      await ask(0);
      await number(2 * PAGE_ROWS + 1);
      const head = 2 * PAGE_ROWS + 1;
      expect(await ask(head)).to.deep.equal({ epoch: follower.epoch, head, events: [] });
      expect(await ask(head + 1)).to.equal('future');
    } finally {
      delivery.stop();
    }
  });

  it('starts again when all that it missed has been pruned under it', async () => {
    const { follower } = await follow(60_000);
    const heads: number[] = [];
    follower.on('epoch', ({ seq }) => heads.push(seq));
    await number(50);
    await pool.query('delete from event_log');
    await pool.query('update feed_head set floor = seq');
    follower.wake();
    await until('the new start', () => heads.length === 1);
    expect(heads).to.deep.equal([50]);
    expect(follower.seq).to.equal(50);
    const [next] = await number(1);
    follower.offer({ epoch: follower.epoch, entries: [next!] });
    expect(follower.seq).to.equal(51);
  });

  it('starts over what somebody has taken out of the log, and counts what is before it as gone', async () => {
    await number(20);
    for (const [taken, end] of [
      ['seq in (7, 8)', 8],
      ['seq = 15', 15],
      ['true', 20],
    ] as const) {
      await pool.query(`delete from event_log where ${taken}`);
      const { follower } = await follow(60_000);
      expect([follower.seq, follower.logFloor], taken).to.deep.equal([20, end]);
      expect(follower.recent(end)).to.have.lengthOf(20 - end);
      expect(follower.recent(end - 1)).to.be.undefined;
    }
  });

  it('starts again when somebody has taken out what it missed', async () => {
    await number(10);
    const { follower } = await follow(60_000);
    const heads: number[] = [];
    follower.on('epoch', ({ seq }) => heads.push(seq));
    await number(20);
    await pool.query('delete from event_log where seq between 11 and 15');
    follower.wake();
    await until('the new start', () => heads.length === 1);
    expect([follower.seq, follower.logFloor]).to.deep.equal([30, 15]);
  });

  it('is given no page of the log with a number missing in it', async () => {
    await number(40);
    await pool.query('delete from event_log where seq in (20, 30)');
    const seqs = async (after: number) => (await readLog(pool, after, 500)).map(({ seq }) => seq);
    expect(await seqs(0)).to.deep.equal(Array.from({ length: 19 }, (_, at) => at + 1));
    expect((await seqs(19))[0]).to.equal(21);
    expect(await seqs(20)).to.have.lengthOf(9);
  });
});

describe('a log with a hole', () => {
  // Behind more events than a node remembers when it starts, those with topics are looked up by indexes.
  for (const behind of [0, 2200])
    it(`is served by a node that starts, which tells who is before it that something is gone, ${behind} events later`, async () => {
      const world = await createWorld(sharedSecret);
      try {
        const alice = await world.user('alice');
        const { body: post } = await alice.post<{ id: number }>('/posts', { title: 'a post', content: '' });
        for (let at = 0; at < 10; at += 1) await alice.patch(`/posts/${post.id}`, { content: `${at}` });
        await caughtUp(world);
        const { epoch, seq } = world.ctx.feed;
        const query = (sql: string) => world.ctx.db.share('service').query(sql);
        await query(appendPosts(`select 'post:deleted', 1, '{"id":1}' from generate_series(1, ${behind})`));
        await caughtUp(world);
        await query(`delete from event_log where seq = ${seq - 5}`);
        const failures: string[] = [];
        const elsewhere = { url: world.databaseUrl, drop: () => Promise.resolve() };
        const node = await createWorld(sharedSecret, elsewhere, (line) => failures.push(line));
        try {
          for (const topics of [undefined, [`thread:${post.id}`]]) {
            const ready = async (after: number) => {
              const socket = node.socket({ token: alice.token, after, epoch, ...(topics && { topics }) });
              const { outcome, reason } = await readyOf(socket);
              socket.disconnect();
              return [outcome, reason];
            };
            expect(await ready(seq - 8)).to.deep.equal(['reset', 'too_old']);
            expect(await ready(seq - 6)).to.deep.equal(['reset', 'too_old']);
            expect(await ready(seq - 5)).to.deep.equal(['replayed', undefined]);
          }
          expect(failures.filter((line) => line.includes('the log has a hole'))).to.have.lengthOf(1);
        } finally {
          await node.close();
        }
      } finally {
        await world.close();
      }
    });
});

describe('a database that is another one', () => {
  let world: World;
  let alice: TestUser;
  let epoch: string;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
  });
  after(() => world.close());
  beforeEach(async () => {
    for (let at = 0; at < 10; at += 1) await alice.post('/posts', { title: 'a post', content: '' });
    await caughtUp(world);
    epoch = world.ctx.feed.epoch;
  });

  /** Stock and raw clients, in every mode; all must be closed, and told of the reset when they come back. */
  const allAreReset = async (change: () => Promise<unknown>) => {
    const stock = world.socket({ token: alice.token, after: world.ctx.feed.seq, epoch });
    await readyOf(stock);
    const outcomes: unknown[] = [];
    stock.on('ready', ({ outcome, reason }) => outcomes.push([outcome, reason]));
    const closed: string[] = [];
    stock.on('session:closed', ({ code }) => closed.push(code));
    const raw = await Promise.all(
      (['live', 'count', 'off'] as const).map((feed) =>
        RawClient.join(world.url, { token: alice.token, feed }),
      ),
    );
    await change();
    await until('every client to be closed', () => raw.every((client) => client.closed));
    for (const client of raw) expect(client.heard('session:closed')[0]?.[0]).to.include({ code: 'reset' });
    // A stock client comes back by itself, with the position that it had.
    await until('the stock client to be back', () => outcomes.length === 1);
    expect(closed).to.deep.equal(['reset']);
    expect(outcomes).to.deep.equal([['reset', 'epoch_changed']]);
    expect(world.ctx.feed.epoch).not.to.equal(epoch);
    stock.disconnect();
  };

  it('is known by its fingerprint, also when no connection was lost, and every client is told', () =>
    allAreReset(() =>
      world.ctx.db.share('service').query(`update feed_head set fingerprint = 'another cluster'`),
    ));

  it('is known by a log that is shorter than what was seen, and every client is told', () =>
    allAreReset(() =>
      world.ctx.db.share('service').query(`
        delete from event_log where seq > (select seq - 5 from feed_head);
        update feed_head set seq = seq - 5`),
    ));

  it('is known by what stands in the place of the newest event that was seen, also when it has more', () =>
    allAreReset(async () => {
      const name = new URL(world.databaseUrl).pathname.slice(1);
      const admin = new pg.Client({ connectionString: (await startTestPostgres()).adminUrl });
      const client = await world.pool.connect();
      await admin.connect();
      const said: unknown[] = [];
      const { log } = world.ctx;
      const { warn } = log;
      log.warn = (...args: unknown[]) => void said.push(...args);
      try {
        // The node loses it, as when a copy is restored under it, and others have written before it looks again.
        await admin.query(`alter database "${name}" allow_connections false`);
        await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidings-feed' and datname = $1`,
          [name],
        );
        await client.query(`
          update event_log set created_at = created_at - interval '1 second' where seq = (select seq from feed_head);
          ${appendPosts(`select 'post:deleted', 1, '{"id":1}' from generate_series(1, 3)`)};
          select number_events(10)`);
        await until('the node to have noticed', () => said.includes('the log cannot be read; retrying'));
        await admin.query(`alter database "${name}" allow_connections true`);
      } finally {
        log.warn = warn;
        client.release();
        await admin.end();
      }
    }));

  it('numbers on from where it stands, and the feed continues', async () => {
    const client = await RawClient.join(world.url, { token: alice.token });
    const start = world.ctx.feed.seq;
    await alice.post('/posts', { title: 'after it all', content: '' });
    await until('the event', () => client.seqs().length === 1);
    expect(client.seqs()).to.deep.equal([start + 1]);
    client.terminate();
  });
});
