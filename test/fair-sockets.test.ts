import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { LiveSessions } from '../server/auth/live-sessions.ts';
import { sendersAt } from '../server/queues/senders.ts';
import { TallyReader } from '../server/votes/queries.ts';
import { appendPosts } from './support/append-sql.ts';
import { createDatabase } from './support/postgres.ts';
import { writePost } from './support/posts.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { inOneTry } from './support/tries.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** Events of before the node's start that it keeps in memory; of more the oldest are read from the log. */
const REMEMBERED = 2000;
/** Replays that read the log at once. */
const READS = 2;
const CROWD = 24;
const [ADDRESS, OTHER_ADDRESS] = ['198.51.100.7', '203.0.113.9'];

const from = (address: string) => ({ 'x-forwarded-for': address });

describe('what many accounts of one address ask for', () => {
  let world: World;
  let crowd: TestUser[];
  let newcomer: TestUser;

  before(async () => {
    const database = await createDatabase();
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(
      appendPosts(
        `select 'post:deleted', 1000000 + n, json_build_object('id', 1000000 + n)
         from generate_series(1, ${REMEMBERED + 100}) n`,
      ),
    );
    while ((await client.query('select * from number_events(500)')).rowCount);
    await client.end();
    world = await createWorld({ TRUST_PROXY: '1' }, database);
    // One after the other: as many logins at once may be too many for a slow machine.
    crowd = [];
    while (crowd.length < CROWD) crowd.push(await world.user());
    newcomer = await world.user();
  });
  afterEach(endRawClients);
  after(() => world.close());

  it('are replays of the log: they take the turns of one, and the replay of another waits for few of them', async () => {
    const pool = pg.Pool.prototype as { query: (...args: unknown[]) => Promise<unknown> };
    const { query } = pool;
    // One of the two that read at once may stand still while the other reads on.
    await inOneTry(async () => {
      let release!: () => void;
      const held = new Promise<void>((resolve) => (release = resolve));
      pool.query = async function (this: unknown, ...args: unknown[]) {
        const { name, values } = args[0] as { name?: string; values?: unknown[] };
        // A page of a replay, of whatever size; the follower reads larger ones.
        if (name === 'log-page' && Number(values?.[1]) <= 100) await held;
        return query.apply(this, args);
      };
      try {
        let answered = 0;
        const sockets = await Promise.all(
          crowd.slice(CROWD / 2).map(async ({ token }) => {
            const client = await RawClient.open(world.url, from(ADDRESS));
            client.send(`40${JSON.stringify({ token, after: 0 })}`);
            return client;
          }),
        );
        const polls = crowd.slice(0, CROWD / 2).map(async (user) => {
          const { status } = await user.get('/events?after=0&limit=1', from(ADDRESS));
          answered += 1;
          return status;
        });
        await until('all of them to wait', () => world.ctx.delivery.replaysWaiting === CROWD - READS);
        const own = newcomer.get<{ events: unknown[] }>('/events?after=0&limit=1', from(OTHER_ADDRESS));
        await until('the newcomer to wait', () => world.ctx.delivery.replaysWaiting === CROWD - READS + 1);
        release();
        expect((await own).body.events).to.have.lengthOf(1);
        const begun = sockets.filter((client) => client.seqs().length > 0).length;
        // Those that had begun, and two turns meanwhile; a busy machine may read on while an answer is on its way.
        expect(answered + begun).to.be.below(CROWD / 2);
        expect(await Promise.all(polls)).to.deep.equal(polls.map(() => 200));
        await until('the sockets to have caught up', () =>
          sockets.every((one) => one.heard('ready').length > 0),
        );
      } finally {
        release();
        pool.query = query;
        endRawClients();
        await until('nobody to wait', () => world.ctx.delivery.replaysWaiting === 0);
      }
    });
  });

  /** Whose ask is answered after how many of a crowd's, of which each has an account of its own, when all have waited. */
  async function answeredBefore(
    table: string,
    size: number,
    ask: (senders: readonly string[], at: number) => Promise<unknown>,
    own: (senders: readonly string[]) => Promise<unknown>,
  ): Promise<number> {
    const client = await world.pool.connect();
    const asks: Promise<unknown>[] = [];
    let answered = 0;
    let before: Promise<number>;
    try {
      await client.query(`begin; lock table ${table} in access exclusive mode`);
      const send = (at: number) =>
        asks.push(
          ask(sendersAt(ADDRESS, at), at)
            .finally(() => (answered += 1))
            .catch(() => undefined),
        );
      // Two rounds that wait for the table, and then all who wait for them.
      for (const at of [1, 2]) {
        send(at);
        await new Promise((resolve) => setImmediate(resolve));
      }
      for (let at = 3; at <= size; at += 1) send(at);
      before = own(sendersAt(OTHER_ADDRESS, 0)).then(() => answered);
    } finally {
      await client.query('rollback');
      client.release();
    }
    const found = await before;
    await Promise.all(asks);
    expect(answered).to.equal(size);
    return found;
  }

  it('are tallies: those that another tracks are read in the next round', async () => {
    const { id } = await writePost(newcomer);
    const tallies = new TallyReader(world.ctx.db.share('tallies'));
    const before = await answeredBefore(
      'post_tallies',
      1000,
      (senders, at) => tallies.of(at, senders, [id]),
      (senders) => tallies.of(newcomer.id, senders, [id]),
    );
    expect(before).to.be.below(410); // two rounds of one, and two of two hundred that were begun together
  });

  it('are sessions: that of another is looked up in the next round', async () => {
    const sessions = new LiveSessions(
      world.ctx.db.share('sessions'),
      () => 0,
      () => undefined,
    );
    const identity = world.ctx.tokens.verify(newcomer.token);
    const before = await answeredBefore(
      'sessions',
      2500,
      (senders) =>
        sessions.require({ ...identity, sessionId: randomUUID() }, { fresh: true, senders: () => senders }),
      (senders) => sessions.require(identity, { fresh: true, senders: () => senders }),
    );
    expect(before).to.be.below(1010);
  });
});
