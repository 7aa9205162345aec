import { expect } from 'chai';
import type pg from 'pg';
import { io } from 'socket.io-client';
import type { Ready, Subscribed } from '../server/contract.ts';
import { connectClient } from '../server/database/client.ts';
import { MissedEvents } from '../server/delivery/missed-events.ts';
import { append } from '../server/log/append.ts';
import { type LogEntry, PAGE_ROWS, type Probe, probeLog } from '../server/log/reader.ts';
import { SharedPages } from '../server/log/shared-pages.ts';
import { TopicPositions } from '../server/log/topic-positions.ts';
import { postDeleted } from '../server/posts/events.ts';
import type { EventType } from '../server/topics/event-type.ts';
import { idList, idsOf, withId, withoutId } from '../server/topics/id-list.ts';
import { Relations } from '../server/topics/relations.ts';
import { Subscription } from '../server/topics/subscription.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { appendPosts } from './support/append-sql.ts';
import { chainFault, eventsOf, listen, positionOf, type Told } from './support/chain.ts';
import { postEntry } from './support/log-entries.ts';
import type { NodeProcess } from './support/node-process.ts';
import { createDatabase } from './support/postgres.ts';
import { readyOf } from './support/sockets.ts';
import { caughtUp, execute, headOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestSocket, type TestUser, type World } from './support/world.ts';

interface Gone {
  id: number;
  owner: number;
  topics: string[];
}

/** Something small about a post with whatever topics, through the door that all events take. */
const gone = {
  ...postDeleted,
  topics: ({ topics }: Gone) => topics,
  author: ({ owner }: Gone) => owner,
  payload: ({ id }: Gone) => ({ id, root_id: null }),
} as unknown as EventType<string, Gone, object>;

describe('what was missed of topics', () => {
  let world: World;
  let other: NodeProcess;
  let ada: TestUser;
  let ben: TestUser;
  let eve: TestUser;
  let longAgo: number;
  const sockets: TestSocket[] = [];
  let ids = 3_000_000;

  before(async () => {
    world = await createWorld(sharedSecret);
    [ada, ben, eve] = await Promise.all([world.user(), world.user(), world.user()]);
    longAgo = await headOf(world);
    await tell(['feed', `author:${ben.id}`], ben);
    await ada.put(`/users/${ben.id}/follow`);
    await tell(['feed', `author:${ben.id}`], ben);
    await tell(['thread:5', `author:${eve.id}`], eve);
    await ada.delete(`/users/${ben.id}/follow`);
    await tell(['feed', `author:${ben.id}`, 'thread:5', 'tag:tea'], ben);
    await ada.put(`/users/${eve.id}/follow`);
    await tell(['feed', `author:${eve.id}`], eve);
    await execute(
      world,
      appendPosts(
        `select 'post:deleted', 4000000 + n, json_build_object('id', 4000000 + n, 'root_id', null) from generate_series(1, 2300) n`,
      ),
    );
    await tell(['thread:5'], ben);
    await tell(['feed', `author:${eve.id}`], eve);
    await caughtUp(world);
    // It remembers the newest 2,000 events.
    other = await startAnotherNode(world, 'other', {});
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.disconnect();
  });
  after(async () => {
    await other.stop();
    await world.close();
    expect(other.misconduct).to.deep.equal([]);
  });

  async function tell(topics: string[], owner: TestUser): Promise<void> {
    const event = { id: (ids += 1), owner: owner.id, topics };
    await world.ctx.db.transaction((tx) => append(tx, gone, event));
  }

  async function join(
    topics: string[],
    after: number | undefined,
    url = other.url,
    user = ada,
  ): Promise<{ socket: TestSocket; told: Told[]; ready: Ready }> {
    const socket: TestSocket = io(url, {
      auth: { token: user.token, topics, ...(after !== undefined && { after }) },
      transports: ['websocket'],
      forceNew: true,
    });
    sockets.push(socket);
    const told = listen(socket);
    return { socket, told, ready: await readyOf(socket) };
  }

  /** The seqs after `longAgo` of the log for which a condition holds. */
  async function seqs(condition: string): Promise<number[]> {
    const found = await rows<{ seq: number }>(
      world,
      `select seq from event_log where seq > $1 and (${condition}) order by seq`,
      [longAgo],
    );
    return found.map(({ seq }) => seq);
  }

  async function expectReplay(topics: string[], condition: string, user = ada): Promise<void> {
    for (const url of [other.url, world.url]) {
      const { told, ready } = await join(topics, longAgo, url, user);
      expect(eventsOf(told).map(({ seq }) => seq)).to.deep.equal(await seqs(condition));
      expect(chainFault(told, longAgo)).to.equal(undefined);
      expect(positionOf(told, longAgo)).to.equal(ready.seq);
    }
  }

  it('is found by the indexes of the log, out of memory, and by reading it, always the same', async () => {
    await expectReplay(['thread:5'], `'thread:5' = any (topics) or audience = 'user:${ben.id}'`, ben);
    await expectReplay(
      ['thread:5', 'tag:tea', 'tag:none'],
      `topics && '{thread:5,tag:tea}' or audience = 'user:${ben.id}'`,
      ben,
    );
    await expectReplay(
      [`author:${ben.id}`],
      `'author:${ben.id}' = any (topics) or audience = 'user:${ben.id}'`,
      ben,
    );
    await expectReplay(['feed'], `'feed' = any (topics) or audience = 'user:${eve.id}'`, eve);
  });

  it('of a home goes by whom one followed at each event, also by follows that have come and gone', async () => {
    const added = await seqs(`audience = 'user:${ada.id}' and name = 'follow:added'`);
    const removed = await seqs(`audience = 'user:${ada.id}' and name = 'follow:removed'`);
    await expectReplay(
      ['home'],
      `audience = 'user:${ada.id}' or ('feed' = any (topics) and (
         (author_id = ${ben.id} and seq > ${added[0]!} and seq < ${removed[0]!})
         or (author_id = ${eve.id} and seq > ${added[1]!})))`,
    );
  });

  it('is nothing for a quiet one: current, at the head', async () => {
    const { ready, told } = await join(['thread:6'], longAgo + 400, world.url, eve);
    expect(eventsOf(told).filter(({ name }) => name?.startsWith('post:'))).to.deep.equal([]);
    expect(ready.seq).to.equal(await headOf(world));
    const quiet = await join(['thread:6', 'tag:none', `author:${ada.id}`], await headOf(world), world.url);
    expect(quiet.ready.outcome).to.equal('current');
  });

  it('is in the answer to a request for a topic, by whatever it is found', async () => {
    for (const url of [other.url, world.url]) {
      const { socket } = await join([], undefined, url, ben);
      const answer = await new Promise<{ ok: boolean; data: Subscribed }>((resolve) =>
        socket.emit('subscribe', { topics: ['thread:5', 'home'], from: longAgo }, resolve as never),
      );
      expect(answer.data.reset).to.equal(undefined);
      const own = await seqs(
        `'thread:5' = any (topics) or (author_id = ${ben.id} and 'feed' = any (topics))`,
      );
      expect(answer.data.events.map(({ seq }) => seq)).to.deep.equal(own);
    }
  });

  it('is known to be nothing for a quiet one also where the log has been pruned, and else it is too old', async () => {
    await caughtUp(world);
    const floor = longAgo + 1500;
    // At once, as the pruning does.
    await execute(
      world,
      `with pruned as (delete from event_log where seq <= $1), found_by as (delete from event_topics where seq <= $1)
       update feed_head set floor = $1`,
      [floor],
    );
    const { epoch } = world.ctx.feed;
    await until('the node to know', () => world.ctx.feed.logFloor === floor);
    const dan = await world.user();
    const quiet = await join(['tag:never', 'thread:6'], longAgo + 100, world.url, dan);
    const { outcome, reason, seq } = quiet.ready;
    expect({ outcome, reason, seq, epoch: quiet.ready.epoch }).to.deep.equal({
      outcome: 'current',
      reason: undefined,
      seq: await headOf(world),
      epoch,
    });
    const busy = await join(['thread:5'], longAgo + 100, world.url, dan);
    expect(busy.ready).to.include({ outcome: 'reset', reason: 'too_old' });
    // Another node has not been there all the time.
    const unknown = await join(['thread:6'], longAgo + 100, other.url, dan);
    expect(unknown.ready).to.include({ outcome: 'reset', reason: 'too_old' });
    const { socket } = await join([], undefined, other.url, dan);
    const answer = await new Promise<{ data: Subscribed }>((resolve) =>
      socket.emit('subscribe', { topics: ['tag:tea', 'tag:never'], from: longAgo + 100 }, resolve as never),
    );
    expect(answer.data.events).to.deep.equal([]);
    expect(answer.data.reset).to.have.members(['tag:tea', 'tag:never']);
  });
});

describe('pages of the log that are shared', () => {
  const log = Array.from({ length: 1200 }, (_, at) => postEntry(at + 1));

  function pages(): { shared: SharedPages; reads: number[]; release: () => void; hold: () => void } {
    const reads: number[] = [];
    let held: Promise<void> | undefined;
    let release = (): void => undefined;
    const shared = new SharedPages(async (after, limit) => {
      reads.push(after);
      const page = log.slice(after, after + limit);
      await held;
      return page;
    });
    return {
      shared,
      reads,
      hold: () => {
        held = new Promise((resolve) => (release = resolve));
      },
      release: () => release(),
    };
  }

  it('are read once for all who are anywhere in them', async () => {
    const { shared, reads } = pages();
    const read = await Promise.all([0, 17, 499, 700].map((position) => shared.after(position)));
    expect(read.map((page) => page[0]?.seq)).to.deep.equal([1, 18, 500, 701]);
    expect(read.map((page) => page.at(-1)?.seq)).to.deep.equal([500, 500, 500, 1000]);
    await shared.after(3);
    expect(reads).to.deep.equal([0, 500]);
  });

  it('are read again for who comes after such an event, though they are still being read for others', async () => {
    const { shared, reads, hold, release } = pages();
    hold();
    const before = shared.after(0);
    shared.note([postEntry(1201, { postId: 17 })]);
    const after = shared.after(0);
    release();
    await Promise.all([before, after]);
    expect(reads).to.deep.equal([0, 0]);
  });

  it('are read again when an event comes that may take a text out of them, also if it comes during the read', async () => {
    const { shared, reads, hold, release } = pages();
    await shared.after(0);
    shared.note([postEntry(1201, { postId: 5000 })]);
    await shared.after(0);
    expect(reads).to.deep.equal([0]);
    shared.note([postEntry(1202, { postId: 7 })]);
    hold();
    const reading = shared.after(0);
    shared.note([postEntry(1203, { postId: 8 })]);
    release();
    await reading;
    await shared.after(0);
    expect(reads).to.deep.equal([0, 0, 0]);
    const container = { containerType: 'thread', containerId: 3 };
    Object.assign(log[4]!, container);
    shared.note([{ ...postEntry(1204, { postId: 3 }), ...container, erasesContainer: true }]);
    await shared.after(0);
    // It was not known to be of that thread when it was read.
    shared.note([{ ...postEntry(1205, { postId: 3 }), ...container, erasesContainer: true }]);
    await shared.after(0);
    expect(reads.length).to.be.above(3);
  });
});

describe('what a home of thousands has missed', () => {
  const FOLLOWED = 2000;
  const HEAD = 100_000;
  /**
   * @param authorOf undefined of events that are for the user alone
   * @param cut how many events of a look have a megabyte
   * @returns the looks at the indexes and the pages that it took to find everything from the floor on
   */
  async function readAll(authorOf: (seq: number) => number | undefined, cut = Infinity) {
    const log = Array.from({ length: HEAD }, (_, at): LogEntry => {
      const authorId = authorOf(at + 1) ?? null;
      return { ...postEntry(at + 1), authorId, audience: authorId === null ? 'user:1' : 'public' };
    });
    const isWanted = ({ authorId, audience }: LogEntry) =>
      audience === 'user:1' || (authorId ?? Infinity) <= FOLLOWED + 1;
    const byAuthor = new Map<number | null, LogEntry[]>();
    for (const entry of log) {
      const own = byAuthor.get(entry.authorId);
      if (own) own.push(entry);
      else byAuthor.set(entry.authorId, [entry]);
    }
    const spent = { looks: 0, pages: 0 };
    const missed = new MissedEvents(
      {
        feed: { seq: HEAD, recent: () => undefined },
        relations: { extend: () => Promise.resolve() },
        pages: {
          after: (position) => {
            spent.pages += 1;
            return Promise.resolve(log.slice(position, position + PAGE_ROWS));
          },
        },
        probe: ({ authors }, after, upTo, limit) => {
          const found = authors.flatMap((author) =>
            (byAuthor.get(author) ?? []).filter(({ seq }) => seq > after && seq <= upTo),
          );
          spent.looks += 1;
          return Promise.resolve(found.toSorted((a, b) => a.seq - b.seq).slice(0, Math.min(limit, cut)));
        },
      },
      { floor: HEAD, lastOf: () => HEAD, lastOfAuthor: () => HEAD },
    );
    const relations = {
      userId: 1,
      follows: Array.from({ length: FOLLOWED }, (_, at) => at + 2),
      changedSince: () => [],
      changesFrom: 0,
    };
    const member = { reader: { id: 1, moderatesSince: undefined }, relations } as unknown as Parameters<
      MissedEvents['far']
    >[1];
    const found: number[] = [];
    for (let position = 0; position < HEAD;) {
      const { looks } = spent;
      const range = await missed.far(Subscription.of(['home']), member, position);
      expect(spent.looks - looks).to.be.at.most(1);
      found.push(...range!.entries.filter(isWanted).map(({ seq }) => seq));
      expect(range!.last).to.be.greaterThan(position);
      position = range!.last;
    }
    expect(found).to.deep.equal(log.filter(isWanted).map(({ seq }) => seq));
    return spent;
  }

  it('is read in pages that all share where they write much of the log', async () => {
    const spent = await readAll((seq) => 2 + ((seq * 7919) % (2 * FOLLOWED)));
    expect(spent).to.deep.equal({ looks: 0, pages: HEAD / PAGE_ROWS });
  });

  it('is read in pages that all share where much of it is for the user alone', async () => {
    const spent = await readAll((seq) => (seq % 2 === 0 ? undefined : 1_000_000 + seq));
    expect(spent).to.deep.equal({ looks: 0, pages: HEAD / PAGE_ROWS });
  });

  /** How much of the log's end is not looked up: as many events as the look-ups would cost. */
  const END = (FOLLOWED * 25) / PAGE_ROWS;

  it('is looked up over all of the log where they write little of it', async () => {
    const spent = await readAll((seq) => (seq % 5000 === 17 ? 2 + (seq % FOLLOWED) : 1_000_000 + seq));
    expect(spent.looks).to.equal(1);
    expect(spent.pages).to.be.at.most(END + 2);
  });

  it('is given out as it was found, though long posts make few of it a page', async () => {
    const spent = await readAll((seq) => (seq % 500 === 17 ? 2 + (seq % FOLLOWED) : 1_000_000 + seq), 10);
    expect(spent.looks).to.be.within(5, 20);
  });
});

describe('a look at the indexes of the log', () => {
  const FOLLOWED = 1000;
  const HEAD = 120_000;
  const EACH = HEAD / 3;
  const followed = Array.from({ length: FOLLOWED }, (_, at) => at + 2);
  const topics = ['tag:tea', 'thread:5'];
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let client: pg.Client;

  before(async () => {
    database = await createDatabase();
    client = await connectClient(database.url, { name: 'tidings test' });
    // Of those who are followed one writes now and then; then all of them, as often as each other; then one above all.
    await client.query(`
      insert into event_log (seq, outbox_id, name, entity_type, entity_id, audience, topics, redaction, data, created_at, author_id)
      select n, n, 'post:deleted', 'post', n, 'public', case when n % 300 = 7 then '{tag:tea,thread:5}'::text[] else '{}' end,
        '{}', json_build_object('id', n, 'text', repeat('x', case when n between ${EACH} and ${EACH + 99} then 30000 else 0 end)), now(),
        case when n <= ${EACH} then case n % 1000 when 0 then 2 + n / 1000 else 1000000 + n end
          when n <= ${2 * EACH} or n % 100 = 0 then 2 + n % 997
          else 77 end
      from generate_series(1, ${HEAD}) n;
      insert into event_topics (topic, seq) select t.topic, e.seq from event_log e, unnest(e.topics) as t (topic);
      update feed_head set seq = ${HEAD};
      analyze event_log, event_topics`);
  });
  after(async () => {
    await client.end();
    await database.drop();
  });

  async function entriesRead(): Promise<number> {
    const { rows: counted } = await client.query<{ entries: number }>(
      `select pg_stat_get_xact_tuples_returned('event_log_author_idx'::regclass)
         + pg_stat_get_xact_tuples_returned('event_topics_pkey'::regclass) as entries`,
    );
    return counted[0]!.entries;
  }

  /** What a look finds, and how many entries of the indexes it reads. */
  async function look(
    probe: Probe,
    after: number,
    upTo = HEAD,
  ): Promise<{ found: number[]; entries: number }> {
    await client.query('begin');
    const before = await entriesRead();
    const found = await probeLog(client, probe, after, upTo, 200);
    const entries = (await entriesRead()) - before;
    await client.query('commit');
    return { found: found!.map(({ seq }) => seq), entries };
  }

  for (const [who, probe] of Object.entries({
    thousands: { topics: [], authors: followed },
    'thousands and some topics': { topics, authors: followed },
    'some topics and nobody': { topics, authors: [] },
    few: { topics, authors: [2, 77, 3] },
  }))
    it(`finds the next events of ${who}, and reads a bounded number of entries`, async () => {
      for (const after of [0, 20_100, EACH + 100, 60_000, 2 * EACH - 50, 2 * EACH + 1, HEAD - 150, HEAD]) {
        const { found, entries } = await look(probe, after);
        const { rows: wanted } = await client.query<{ seq: number }>(
          `select seq from event_log where seq > $1 and (author_id = any ($2) or topics && $3) order by seq limit 200`,
          [after, probe.authors, probe.topics],
        );
        // Of long texts a part of them.
        const expected = wanted.map(({ seq }) => seq);
        expect(found).to.deep.equal(after < EACH ? expected.slice(0, found.length) : expected);
        if (expected.length > 0) expect(found).not.to.be.empty;
        expect(entries).to.be.at.most(30_000);
      }
      const { found } = await look(probe, 0, 60_000);
      expect(found.at(-1)).to.be.at.most(60_000);
    });
});

describe('what is remembered of topics and relations', () => {
  it('is bounded: of what is forgotten it is known that it is not newer', () => {
    const positions = new TopicPositions(10, 3);
    for (let seq = 11; seq < 20; seq += 1)
      positions.note({ ...postEntry(seq), authorId: null, topics: [`thread:${seq % 5}`] });
    expect(positions.lastOf('thread:4')).to.equal(19);
    expect(positions.lastOf('thread:1')).to.equal(0);
    expect(positions.floor).to.equal(16);
  });

  it('has ids of any size in little memory', () => {
    const ids = [1, 127, 128, 300, 2 ** 21, 2 ** 40 + 1, Number.MAX_SAFE_INTEGER];
    expect([...idsOf(idList([...ids].reverse()))]).to.deep.equal(ids);
    expect([...idsOf(withId(idList(ids), 5))]).to.deep.equal([1, 5, ...ids.slice(1)]);
    expect([...idsOf(withoutId(withId(idList(ids), 5), 5))]).to.deep.equal(ids);
    expect(idList(Array.from({ length: 200 }, (_, at) => 500 * at + 500)).length).to.be.at.most(400);
  });

  it('goes by the state that was read, and by the changes behind it alone', () => {
    const relations = new Relations(1);
    const follow = (seq: number, target_id: number, added: boolean) =>
      relations.apply({ kind: 'follow', user_id: 1, target_id, added }, seq);
    follow(4, 7, false);
    follow(6, 8, true);
    const rows = { userId: 1, follows: [7], blocks: [], blockedBy: [], mutes: [], moderatesSince: null };
    relations.load(rows, 5, true);
    follow(5, 7, false);
    expect([...relations.follows]).to.deep.equal([7, 8]);
    follow(9, 7, false);
    const follows = relations.followsAfter(5);
    expect([5, 6, 8, 9, 10].map((seq) => [follows(7, seq), follows(8, seq)])).to.deep.equal([
      [true, false],
      [true, true],
      [true, true],
      [false, true],
      [false, true],
    ]);
  });
});
