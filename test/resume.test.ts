import { expect } from 'chai';
import pg from 'pg';
import type { PostView, Ready } from '../server/contract.ts';
import type { Follower } from '../server/log/follower.ts';
import { createLogger } from '../server/logger.ts';
import { Pruner } from '../server/database/pruner.ts';
import { prunes } from '../server/prunes.ts';
import { appendPosts } from './support/append-sql.ts';
import { EventStream } from './support/event-stream.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { firstFault, type Heard, readyOf, record } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, type TestSocket, type TestUser, type World } from './support/world.ts';
import { startWriters } from './support/writers.ts';

const ELSEWHERE = '00000000-0000-4000-8000-000000000000';

/** Queries that the node asks at intervals, whoever comes. */
const ONES_OWN_CLOCK = new Set([
  'backlog',
  'feed-tail',
  'head-watch',
  'number-events',
  'schema-watch',
  'write-monitor',
]);

describe('coming back with a position', () => {
  let database: TestDatabase;
  let world: World;
  let users: TestUser[];
  let alice: TestUser;

  before(async () => {
    database = await createDatabase();
    // Another node goes on with the database.
    world = await createWorld({}, { ...database, drop: () => Promise.resolve() });
    users = await Promise.all(['alice', 'bob', 'carol', 'dave'].map((name) => world.user(name)));
    alice = users[0]!;
  });
  afterEach(endRawClients);
  after(() => world.close());

  const head = () => world.ctx.feed.seq;
  const epoch = () => world.ctx.feed.epoch;
  const write = async (many: number) => {
    for (let at = 0; at < many; at += 1) await alice.post('/posts', { title: `post ${at}`, content: 'text' });
    await until('the node to have them', async () => head() === (await logHead()));
  };
  const logHead = async () => {
    const { rows } = await world.pool.query<{ seq: number }>(
      'select seq from feed_head where not exists (select from event_outbox)',
    );
    return rows[0]?.seq;
  };

  /** Statements on the log while something is done, by their name. */
  const countQueries = async (work: () => Promise<void>): Promise<Map<string, number>> => {
    const pool = pg.Pool.prototype as { query: (...args: unknown[]) => unknown };
    const counts = new Map<string, number>();
    const { query } = pool;
    pool.query = function (this: unknown, ...args: unknown[]) {
      const [asked] = args as [string | { name?: string }];
      const name = typeof asked === 'string' ? asked : (asked.name ?? 'other');
      // The node prunes once a minute, whatever else it does.
      if (!name.includes('delete from')) counts.set(name, (counts.get(name) ?? 0) + 1);
      return query.apply(this, args);
    };
    try {
      await work();
    } finally {
      pool.query = query;
    }
    return counts;
  };

  describe('is answered', () => {
    it('current, when nothing was missed', async () => {
      await write(1);
      const ready = await readyOf(world.socket({ token: alice.token, after: head(), epoch: epoch() }));
      expect(ready).to.deep.equal({
        protocol: 1,
        outcome: 'current',
        epoch: epoch(),
        seq: head(),
        user_id: alice.id,
      });
    });

    it('replayed, after all that was missed and before the first live event', async () => {
      const after = head();
      await write(5);
      const socket = world.socket({ token: alice.token, after, epoch: epoch() });
      const heard = record(socket);
      const before: number[] = [];
      socket.once('ready', () => before.push(...heard.map(({ seq }) => seq)));
      const ready = await readyOf(socket);
      expect(ready).to.deep.include({ outcome: 'replayed', seq: after + 5 });
      expect(before).to.deep.equal([1, 2, 3, 4, 5].map((step) => after + step));
      await write(1);
      await until('the live event', () => heard.length === 6);
      expect(heard.at(-1)?.seq).to.equal(after + 6);
    });

    it('reset: future, once the node has looked into the log since the client came', async () => {
      const ready = await readyOf(world.socket({ token: alice.token, after: head() + 1000 }));
      expect(ready).to.deep.include({ outcome: 'reset', reason: 'future', seq: head() });
    });

    it('not reset, when the node is behind its client', async () => {
      const { db, feed } = world.ctx;
      const numbered = async () => {
        // As another node would, which this one hears of at its next look.
        await db
          .share('service')
          .query(appendPosts(`values ('post:deleted', 999999999, '{"id":999999999}')`));
        await db.share('service').query('select number_events(500)');
      };
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const after = head() + 1;
        await numbered();
        const socket = world.socket({ token: alice.token, after });
        expect(await readyOf(socket)).to.deep.include({ outcome: 'current', seq: after });
        await until('the node to be there', () => feed.seq === after);
      }
    });

    it('reset: epoch_changed, for a position of another numbering', async () => {
      const ready = await readyOf(world.socket({ token: alice.token, after: 1, epoch: ELSEWHERE }));
      expect(ready).to.deep.include({
        outcome: 'reset',
        reason: 'epoch_changed',
        seq: head(),
        epoch: epoch(),
      });
    });

    it('not at all by a node that cannot read the log: the client keeps its position and comes back', async () => {
      const client = await world.pool.connect();
      const sockets: TestSocket[] = [];
      try {
        await client.query('begin');
        await client.query('lock table feed_head in access exclusive mode');
        await until('its last look to be old', () => Date.now() - world.ctx.feed.readAt > 1200);
        // Also what the node has in memory may be out of date: a post of it may have been deleted.
        for (const after of [head() + 3, head() - 3, head()]) {
          const socket = world.socket({ token: alice.token, after, epoch: epoch() });
          sockets.push(socket);
        }
        const heard = sockets.map((socket) => record(socket));
        const readies: Ready[] = [];
        for (const socket of sockets) socket.on('ready', (ready) => readies.push(ready));
        for (const closed of sockets.map(
          (socket) => new Promise((resolve) => socket.once('session:closed', resolve)),
        ))
          expect(await closed).to.include({ code: 'reset' });
        expect(readies).to.be.empty;
        expect(heard.flat()).to.be.empty;
      } finally {
        await client.query('rollback');
        client.release();
        for (const socket of sockets) socket.disconnect();
      }
      const unread = world.ctx.feed.readAt;
      await until('the node to read again', () => world.ctx.feed.readAt > unread);
      const ready = await readyOf(world.socket({ token: alice.token, after: head() - 1, epoch: epoch() }));
      expect(ready).to.deep.include({ outcome: 'replayed', seq: head() });
    });

    it('and the feed continues from the position of the answer, whatever it was', async () => {
      const auths = [
        {},
        { after: head() },
        { after: 0 },
        { after: 5, epoch: ELSEWHERE },
        { after: head() + 10_000 },
      ];
      const writers = startWriters(users);
      try {
        await Promise.all(
          auths.map(async (auth) => {
            const socket = world.socket({ token: alice.token, ...auth });
            const heard = record(socket);
            const { seq, outcome } = await readyOf(socket);
            await until('live events', () => (heard.at(-1)?.seq ?? 0) > seq + 20);
            const from = outcome === 'replayed' ? (auth.after ?? 0) : seq;
            expect(
              firstFault(
                heard.map((event) => event.seq),
                from,
              ),
              outcome,
            ).to.be.undefined;
          }),
        );
      } finally {
        await writers.stop();
      }
    });
  });

  it('from a list has no hole: the list with the events after it folded in is what a list says in the end', async () => {
    const writers = startWriters(users);
    const views = await Promise.all(
      Array.from({ length: 30 }, async (_, client) => {
        await new Promise((resolve) => setTimeout(resolve, client * 40));
        const list = await alice.get<PostView[]>('/posts?limit=100');
        const after = Number(list.headers.get('x-feed-seq'));
        const at = list.headers.get('x-feed-epoch') ?? '';
        const socket = world.socket({ token: alice.token, after, epoch: at, tallies: 'none' });
        const heard = record(socket);
        expect((await readyOf(socket)).outcome).to.be.oneOf(['current', 'replayed']);
        return { after, heard, list: list.body, socket };
      }),
    );
    await writers.stop();
    await until('the node to have all', async () => head() === (await logHead()));
    const end = await alice.get<PostView[]>('/posts?limit=100');
    for (const { after, heard, list, socket } of views) {
      await until('the newest event', () => heard.at(-1)?.seq === head());
      expect(
        firstFault(
          heard.map(({ seq }) => seq),
          after,
        ),
      ).to.be.undefined;
      // The list may be ahead of its position: what has been written and not been numbered comes again.
      const known = new Map(list.map((post) => [post.id, post.content]));
      for (const { name, post } of heard) {
        if (name === 'post:deleted') known.delete(post.id);
        else known.set(post.id, post.content ?? '');
      }
      const listed = end.body.filter((post) => post.published);
      const seen = listed.filter((post) => known.has(post.id));
      expect(seen).not.to.be.empty;
      for (const post of seen) expect(known.get(post.id), `post ${post.id}`).to.equal(post.content);
      // A list that was not full had everything.
      if (list.length < 100) expect(seen).to.have.lengthOf(listed.length);
      socket.disconnect();
    }
  });

  it('again and again, during live batches, hands every client everything once, in one order', async () => {
    const writers = startWriters(users);
    const start = head();
    const said = new Map<number, string>();
    const differing: number[] = [];
    const wander = async (ends: number) => {
      let after = start;
      const seqs: number[] = [];
      // A slow machine takes longer for as many.
      while (Date.now() < ends || seqs.length <= 10) {
        const client = await RawClient.open(world.url);
        client.send(`40${JSON.stringify({ token: alice.token, after, epoch: epoch() })}`);
        // Some leave at once, during the replay; the others when they have got somewhere.
        if (Math.random() < 0.2) await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
        else await until('something new', () => client.seqs().length > 0 || client.closed);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 50));
        if (Math.random() < 0.5) client.terminate();
        else client.ws.close();
        for (const { name, args } of client.events.filter((event) => event.name.startsWith('post:'))) {
          const [post, { seq }] = args as [{ id: number }, { seq: number }];
          seqs.push(seq);
          const text = `${name} ${post.id}`;
          if ((said.get(seq) ?? text) !== text) differing.push(seq);
          said.set(seq, text);
        }
        after = seqs.at(-1) ?? after;
      }
      return seqs;
    };
    const all = await Promise.all(Array.from({ length: 25 }, () => wander(Date.now() + 2500)));
    await writers.stop();
    for (const seqs of all) {
      expect(seqs.length).to.be.above(10);
      expect(firstFault(seqs, start)).to.be.undefined;
    }
    expect(differing).to.be.empty;
  });

  it('would be found wanting by the same check if it joined the live room a tick late', async () => {
    const writers = startWriters(users);
    try {
      let found: string | undefined;
      await until('a hole', async () => {
        const after = head() - 5;
        const seqs = await joinLate(world.ctx.feed, after);
        found = firstFault(seqs, after);
        return found !== undefined;
      });
      expect(found).to.match(/^after \d+ came \d+$/);
    } finally {
      await writers.stop();
    }
  });

  it('is served out of memory, however many come at once', async () => {
    await write(60);
    const newest = head();
    const clients: RawClient[] = [];
    const began = Date.now();
    const counts = await countQueries(async () => {
      clients.push(
        ...(await Promise.all(
          Array.from({ length: 200 }, (_, at) =>
            RawClient.join(world.url, { token: alice.token, after: newest - 50 + (at % 50), epoch: epoch() }),
          ),
        )),
      );
    });
    expect(counts.get('log-page') ?? 0).to.equal(0);
    // What is asked of the database for all of them depends on the time that it took, not on their number.
    const other = [...counts].filter(([name]) => !ONES_OWN_CLOCK.has(name));
    const asked = other.reduce((sum, [, count]) => sum + count, 0);
    expect(asked, JSON.stringify(other)).to.be.below(2 + (Date.now() - began) / 50);
    for (const [at, client] of clients.entries()) {
      const after = newest - 50 + (at % 50);
      expect(firstFault(client.seqs(), after)).to.be.undefined;
      expect(client.seqs().at(-1)).to.equal(newest);
      client.terminate();
    }
  });

  describe('of long ago', () => {
    let old: number;

    before(async () => {
      old = head();
      await fillLog(3200);
      // A node that starts reads the newest two thousand into its memory.
      await world.close();
      world = await createWorld({}, database);
      users = await Promise.all(users.map((user) => logIn(world.url, user)));
      alice = users[0]!;
      expect(world.ctx.feed.recent(old + 1100)).to.be.undefined;
    });

    /** As another node would: committed outbox rows, which anyone who comes first numbers. */
    const fillLog = async (many: number) => {
      await world.ctx.db.share('service').query(`
        insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
        select 'post:updated', 'post', 1000000 + n, 'public', '{feed,author:1}', 'previous',
          '{title,content,owner.username}', json_build_object('id', 1000000 + n, 'title', 't', 'content', 'c',
          'published', true, 'created_at', '2030-01-01T00:00:00.000Z', 'updated_at', '2030-01-01T00:00:00.000Z',
          'version', 1, 'owner_id', 1, 'owner', json_build_object('id', 1, 'username', 'u'),
          'votes', 0, 'rev', 0) from generate_series(1, ${many}) n`);
      await until('all to be numbered and followed', () => head() >= old + many, 120_000);
    };

    it('is served from the log and then out of memory, while events continue', async () => {
      const writers = startWriters([alice], 20);
      const clients = await Promise.all(
        [0, 1, 500, 900].map((step) =>
          RawClient.open(world.url).then((client) => {
            client.send(`40${JSON.stringify({ token: alice.token, after: old + step, epoch: epoch() })}`);
            return { client, after: old + step };
          }),
        ),
      );
      for (const { client, after } of clients) {
        await until('ready', () => client.heard('ready').length > 0);
        const [ready] = client.heard('ready')[0] as [Ready];
        expect(ready.outcome).to.equal('replayed');
        await until('the live events', () => (client.seqs().at(-1) ?? 0) > ready.seq + 3);
        expect(firstFault(client.seqs(), after)).to.be.undefined;
        client.terminate();
      }
      await writers.stop();
    });

    it('reads the log for few clients at once', async () => {
      let reading = 0;
      let most = 0;
      const pool = pg.Pool.prototype as { query: (...args: unknown[]) => Promise<unknown> };
      const { query } = pool;
      pool.query = async function (this: unknown, ...args: unknown[]) {
        const page = (args[0] as { name?: string }).name === 'log-page';
        if (page) most = Math.max(most, (reading += 1));
        try {
          return await query.apply(this, args);
        } finally {
          if (page) reading -= 1;
        }
      };
      try {
        const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(world.url)));
        for (const client of clients) client.send(`40${JSON.stringify({ token: alice.token, after: old })}`);
        await until('some pages', () => clients.every((client) => client.seqs().length > 300));
        // Those who wait for their turn and go away are not read for.
        for (const client of clients) client.terminate();
        await until('the reading to end', () => reading === 0);
      } finally {
        pool.query = query;
      }
      // Two replays, and the node's own follower or sequencer.
      expect(most).to.be.within(1, 4);
    });

    it('is too old, when the log has been pruned since', async () => {
      await world.ctx.db
        .share('service')
        .query(`update event_log set created_at = now() - interval '8 days' where seq <= ${old + 10}`);
      const pruner = new Pruner({
        pool: world.pool,
        log: createLogger('silent'),
        prunes: prunes(world.ctx.config),
      });
      await pruner.prune();
      await until('the node to know', () => world.ctx.feed.logFloor === old + 10);
      const ready = await readyOf(world.socket({ token: alice.token, after: old + 9, epoch: epoch() }));
      expect(ready).to.deep.include({ outcome: 'reset', reason: 'too_old', seq: head() });
      const socket = world.socket({ token: alice.token, after: old + 10, epoch: epoch() });
      const heard = record(socket);
      expect((await readyOf(socket)).outcome).to.equal('replayed');
      expect(heard[0]?.seq).to.equal(old + 11);
      expect((await alice.get(`/events?after=${old + 9}`)).status).to.equal(410);
    });

    it('tells a stream of it where to continue, when all that was left to say has been pruned', async () => {
      let pages = 0;
      const pool = pg.Pool.prototype as { query: (...args: unknown[]) => Promise<unknown> };
      const { query } = pool;
      pool.query = async function (this: unknown, ...args: unknown[]) {
        const { name, values } = args[0] as { name?: string; values?: unknown[] };
        // A page of a replay; the follower reads larger ones.
        if (name === 'log-page' && values?.[1] === 100 && (pages += 1) === 2)
          await world.pool.query('with gone as (delete from event_log) update feed_head set floor = seq');
        return query.apply(this, args);
      };
      const stream = await EventStream.open(alice, `?after=${old + 10}&epoch=${epoch()}`);
      try {
        const said = await stream.take(101);
        expect(said.slice(0, 100).map(({ id }) => Number(id.split(':')[1]))).to.deep.equal(
          Array.from({ length: 100 }, (_, at) => old + 11 + at),
        );
        expect(said[100]).to.include({ event: 'reset', id: `${epoch()}:${head()}` });
        expect(JSON.parse(said[100]!.data)).to.deep.include({ reason: 'too_old', seq: head() });
      } finally {
        pool.query = query;
        stream.close();
      }
      expect(pages).to.equal(2);
    });
  });

  describe('is not told the text of a post that was deleted or withdrawn', () => {
    const SECRET_TITLE = 'the title that is gone';
    const SECRET_TEXT = 'the text that is gone';
    let after: number;
    let live: Heard[];

    before(async () => {
      const socket = world.socket({ token: alice.token });
      live = record(socket);
      after = (await readyOf(socket)).seq;
      const ids: number[] = [];
      for (let at = 0; at < 2; at += 1) {
        const { body } = await alice.post<{ id: number }>('/posts', {
          title: SECRET_TITLE,
          content: SECRET_TEXT,
        });
        await alice.patch(`/posts/${body.id}`, { content: `${SECRET_TEXT} again` });
        ids.push(body.id);
      }
      await alice.delete(`/posts/${ids[0]}`);
      await alice.patch(`/posts/${ids[1]}`, { published: false });
      await until('all six events', () => live.length === 6);
      // It was told while it was there.
      expect(JSON.stringify(live)).to.include(SECRET_TITLE).and.include(SECRET_TEXT);
    });

    const clean = (text: string) => {
      expect(text).to.include('redacted').and.include('post:deleted');
      expect(text).not.to.include(SECRET_TITLE);
      expect(text).not.to.include(SECRET_TEXT);
      expect(text).not.to.include('"username":"alice"');
    };

    it('out of memory', async () => {
      const entries = world.ctx.feed.recent(after);
      expect(entries).to.have.lengthOf(6);
      clean(JSON.stringify(entries));
      const socket = world.socket({ token: alice.token, after, epoch: epoch() });
      const heard = record(socket);
      await readyOf(socket);
      expect(heard).to.have.lengthOf(6);
      clean(JSON.stringify(heard));
    });

    it('out of the log', async () => {
      const { rows } = await world.pool.query('select * from event_log where seq > $1', [after]);
      clean(JSON.stringify(rows));
      const everywhere = await world.pool.query<{ found: number }>(
        `select (select count(*) from event_log where data::text like $1) + (select count(*) from event_outbox where data::text like $1) as found`,
        [`%${SECRET_TEXT}%`],
      );
      expect(everywhere.rows[0]?.found).to.equal(0);
    });

    it('over REST', async () => {
      clean(JSON.stringify((await alice.get(`/events?after=${after}`)).body));
    });

    it('but is told that of a post which was published again', async () => {
      const { body } = await alice.post<{ id: number }>('/posts', {
        title: 'on and off',
        content: 'old text',
      });
      await alice.patch(`/posts/${body.id}`, { published: false });
      await alice.patch(`/posts/${body.id}`, { published: true, content: 'new text' });
      await until('all of it', () => live.length === 9);
      const text = JSON.stringify((await alice.get(`/events?after=${after + 6}`)).body);
      expect(text).not.to.include('old text');
      expect(text).to.include('new text');
      expect(JSON.stringify(world.ctx.feed.recent(after + 6))).not.to.include('old text');
    });
  });
});

/** What the gateway must not do: what it has missed is read, and only a moment later does it begin to listen. */
async function joinLate(feed: Follower, after: number): Promise<number[]> {
  const seqs = (feed.recent(after) ?? []).map(({ seq }) => seq);
  await new Promise((resolve) => setImmediate(resolve));
  let listening = true;
  feed.on('events', (entries) => {
    if (listening) seqs.push(...entries.map(({ seq }) => seq));
  });
  await until('an event', () => (seqs.at(-1) ?? 0) > after + 6);
  listening = false;
  return seqs;
}
