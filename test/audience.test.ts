import { expect } from 'chai';
import { createClient, type Feed, type FeedEvent } from '../client/src/index.ts';
import { eventTypes } from '../server/event-registry.ts';
import type { Position, PostView, Ready } from '../server/contract.ts';
import { append } from '../server/log/append.ts';
import {
  blockAdded,
  blockRemoved,
  followAdded,
  followRemoved,
  muteAdded,
  muteRemoved,
} from '../server/relations/events.ts';
import { resolveCases } from '../server/moderation/cases.ts';
import { roleChanged } from '../server/moderation/events.ts';
import { grantRole } from '../server/moderation/roles.ts';
import type { EventType } from '../server/topics/event-type.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { appendPosts } from './support/append-sql.ts';
import { EventParser } from './support/event-parser.ts';
import { leakTable } from './support/leak-table.ts';
import type { NodeProcess } from './support/node-process.ts';
import {
  noteAdded,
  noteChanged,
  noteEvents,
  type Note,
  noticePosted,
  reportFiled,
} from './support/note-events.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { sharedRedis, type TestRedis } from './support/redis.ts';
import { caughtUp, execute, headOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, type TestUser, type World } from './support/world.ts';

type Viewer = 'reader' | 'stranger' | 'moderator';

/** Who may hear each event that some capability, or that of the tests, declares: of the first as the leak table has it. */
const mayHear: Readonly<Record<string, readonly Viewer[]>> = {
  ...Object.fromEntries(
    Object.entries(leakTable).map(([name, { owner, stranger }]) => {
      const readers: Viewer[] = owner === 'allowed' ? ['reader'] : [];
      return [name, stranger === 'allowed' ? [...readers, 'stranger', 'moderator'] : readers];
    }),
  ),
  'notice:posted': ['reader', 'stranger', 'moderator'],
  'note:added': ['reader'],
  'note:changed': ['reader'],
  'report:filed': ['moderator'],
  'report:added': ['moderator'],
  'report:resolved': ['moderator'],
};

/** A row of the log. */
interface Logged {
  seq: number;
  name: string;
}

/** An event, or a beacon without a name, as somebody was told it. */
interface Told extends Position {
  name: string | undefined;
}

/** What came in one way, and the text of it. */
interface Heard {
  told: Told[];
  /** Where it began. */
  from: number;
  text: string;
}

/** What may not be in the hands of whoever it is not for. */
const SECRET = 'words that are for one reader alone';
const REPORT = 'words that are for moderators alone';

/** Why this is not what a subscription from its start on must be told of the log; undefined if it is. */
function fault({ told, from }: Heard, log: readonly Logged[], viewer: Viewer): string | undefined {
  const own = log.filter(({ seq, name }) => seq > from && mayHear[name]?.includes(viewer));
  const events = told.filter(({ name }) => name !== undefined);
  const asText = (list: readonly Logged[]) => list.map(({ seq, name }) => `${seq} ${name}`).join(', ');
  if (asText(events as Logged[]) !== asText(own)) return `told ${asText(events as Logged[])}`;
  let position = from;
  for (const { seq, prev, name } of told) {
    if (prev > position || (name !== undefined && seq <= position))
      return `at ${position} came ${name ?? 'feed:head'} {seq: ${seq}, prev: ${prev}}`;
    const between = own.find((event) => event.seq > prev && event.seq < seq);
    const isNext = name === undefined ? own.every((event) => event.seq <= prev || event.seq > seq) : !between;
    if (!isNext) return `{seq: ${seq}, prev: ${prev}} denies an event that lies between`;
    position = Math.max(position, seq);
  }
  return undefined;
}

describe('who hears an event', () => {
  let redis: Pick<TestRedis, 'url' | 'stop'>;
  let world: World;
  let other: NodeProcess;
  let reader: TestUser;
  let stranger: TestUser;
  let moderator: TestUser;
  /** Beyond what the other node has in its memory: from here on it reads the log. */
  let longAgo: number;
  const logged: string[] = [];
  const aborts: AbortController[] = [];
  const feeds: Feed[] = [];
  let ids = 0;

  before(async () => {
    redis = await sharedRedis();
    world = await createWorld({ ...sharedSecret, REDIS_URL: redis.url }, undefined, (line) =>
      logged.push(line),
    );
    reader = await world.user('reader');
    stranger = await world.user('stranger');
    moderator = await world.user('overseer');
    await world.ctx.db.transaction((tx) => grantRole(tx, 'overseer', 'moderator', ''));
    longAgo = await headOf(world);
    await tell(noteAdded, SECRET);
    await tell(noticePosted, 'for all');
    await tell(noteAdded, SECRET);
    await execute(
      world,
      appendPosts(
        `select 'post:deleted', 1000000 + n, json_build_object('id', 1000000 + n) from generate_series(1, 2100) n`,
      ),
    );
    await caughtUp(world);
    other = await startAnotherNode(world, 'other', { REDIS_URL: redis.url });
  });
  afterEach(() => {
    for (const feed of feeds.splice(0)) feed.close();
    for (const abort of aborts.splice(0)) abort.abort();
    endRawClients();
  });
  after(async () => {
    await other.stop();
    await world.close();
    await redis.stop();
    expect(other.misconduct).to.deep.equal([]);
  });

  /** Appends an event of the tests' capability through the door that all events take. */
  async function tell(
    type: EventType<string, Note, object>,
    words: string,
    id = (ids += 1),
  ): Promise<number> {
    await world.ctx.db.transaction((tx) => append(tx, type, { id, reader: reader.id, words }));
    return id;
  }

  /** What the reader does to somebody who is not there. */
  async function tellRelations(): Promise<void> {
    const target = { id: 2 ** 40, username: SECRET };
    const follow = { follower: { id: reader.id, username: SECRET }, followee: target } as const;
    await world.ctx.db.transaction(async (tx) => {
      for (const type of [followAdded, followRemoved])
        await append(tx, type, { ...follow, to: 'follower', takesEffect: false });
      for (const type of [blockAdded, blockRemoved, muteAdded, muteRemoved])
        await append(tx, type, { userId: reader.id, target });
    });
  }

  /** What somebody who is not there has done to the reader, which the reader then reads, and which is taken back. */
  async function tellNotifications(): Promise<void> {
    const act = { user_id: reader.id, group_key: 'follow:0', kind: 'follow', actor_id: 2 ** 40 };
    await execute(world, `select change_notifications($1, '{}')`, [JSON.stringify([act])]);
    await execute(world, 'select read_notifications($1, 100)', [reader.id]);
    await execute(
      world,
      'select change_notifications(null, array(select id from notifications where user_id = $1))',
      [reader.id],
    );
  }

  /** One event of each kind, the last of them for everyone. */
  async function tellAll(): Promise<void> {
    const { body: post } = await reader.post<PostView>('/posts', { title: 'Hello', content: 'world' });
    await tell(reportFiled, REPORT);
    const note = await tell(noteAdded, 'to be changed');
    await tell(noteChanged, SECRET, note);
    await reader.patch(`/posts/${post.id}`, { title: 'Hello again' });
    await tell(noteAdded, SECRET);
    await tell(noticePosted, 'for all');
    await tell(noteAdded, SECRET);
    await tellRelations();
    await tellNotifications();
    const news = { userId: reader.id, role: 'user', before: 'user' } as const;
    await world.ctx.db.transaction((tx) => append(tx, roleChanged, news));
    await stranger.put(`/users/${reader.id}/report`, { reason: 'spam', note: REPORT });
    await world.ctx.db.transaction(async (tx) =>
      (await resolveCases(tx, { userId: reader.id }, 'dismiss'))[0]?.tell(),
    );
    await reader.delete(`/posts/${post.id}`);
    await tell(reportFiled, REPORT);
    await tell(noticePosted, 'for all');
  }

  const logSince = (seq: number) =>
    rows<Logged>(world, 'select seq, name from event_log where seq > $1 order by seq', [seq]);

  const nodes = (): [name: string, url: string][] => [
    ['this node', world.url],
    ['the other node', other.url],
  ];
  const viewers = (): [Viewer, TestUser][] => [
    ['reader', reader],
    ['stranger', stranger],
    ['moderator', moderator],
  ];

  const positionOf = ({ told, from }: Heard) => Math.max(from, ...told.map(({ seq }) => seq));

  /** A socket, of which all messages are read off the wire. */
  async function listen(url: string, user: TestUser, from: number | undefined): Promise<() => Heard> {
    const { epoch } = world.ctx.feed;
    const client = await RawClient.join(url, {
      token: user.token,
      ...(from === undefined ? {} : { after: from, epoch }),
    });
    const ready = client.heard('ready')[0]?.[0] as Ready;
    expect(ready.outcome).not.to.equal('reset');
    return () => ({
      from: from ?? ready.seq,
      text: client.frames.join('\n'),
      told: client.events.flatMap(({ name, args }): Told[] => {
        if (name === 'feed:head') return [{ ...(args[0] as Position), name: undefined }];
        return name.includes(':') && args[1] ? [{ ...(args[1] as Position), name }] : [];
      }),
    });
  }

  /** A stream. */
  async function stream(url: string, user: TestUser, from: number): Promise<() => Heard> {
    const abort = new AbortController();
    aborts.push(abort);
    const response = await fetch(`${url}/events/stream`, {
      headers: {
        authorization: `Bearer ${user.token}`,
        'last-event-id': `${world.ctx.feed.epoch}:${from}`,
      },
      signal: abort.signal,
    });
    expect(response.status).to.equal(200);
    const heard: Heard = { from, told: [], text: '' };
    const parser = new EventParser();
    const read = async () => {
      for await (const piece of response.body as ReadableStream<Uint8Array>) {
        heard.text += Buffer.from(piece).toString();
        for (const { id, event, data } of parser.read(piece)) {
          const { prev } = JSON.parse(data) as Position;
          const name = event === 'feed:head' ? undefined : event;
          heard.told.push({ name, seq: Number(id.split(':')[1]), prev });
        }
      }
    };
    read().catch(() => undefined);
    return () => heard;
  }

  /** Asks again and again, as a client does: from the last event on, or from the head of a page without events. */
  async function poll(url: string, user: TestUser, from: number, query: string, end: number): Promise<Heard> {
    const heard: Heard = { from, told: [], text: '' };
    for (let at = from; at < end;) {
      const { status, body } = await new Api(url, user.token).get<{ head: number; events: FeedEvent[] }>(
        `/events?after=${at}&epoch=${world.ctx.feed.epoch}&${query}`,
      );
      expect(status).to.equal(200);
      heard.text += JSON.stringify(body);
      heard.told.push(...body.events);
      if (body.events.length === 0) heard.told.push({ name: undefined, seq: body.head, prev: at });
      at = positionOf(heard);
    }
    return heard;
  }

  it('is said of every event that there is', () => {
    const declared = [...eventTypes, ...noteEvents].map(({ name }) => name);
    expect(Object.keys(mayHear)).to.have.members(declared);
  });

  it('is whom its audience names and nobody else, in whatever way they listen, on every node, live and afterwards', async () => {
    const start = await caughtUp(world);
    await until('the other node to be there too', async () => {
      return (await new Api(other.url, reader.token).get<{ head: number }>('/events')).body.head === start;
    });
    const ways: { what: string; viewer: Viewer; heard: () => Heard }[] = [];
    const add = (what: string, viewer: Viewer, heard: () => Heard) => {
      ways.push({ what, viewer, heard });
    };
    const polls: Promise<void>[] = [];
    for (const [node, url] of nodes())
      for (const [viewer, user] of viewers()) {
        add(`live on ${node}`, viewer, await listen(url, user, undefined));
        add(`a stream of ${node}`, viewer, await stream(url, user, start));
      }
    const counting = await RawClient.join(world.url, { token: stranger.token, feed: 'count' });
    await tellAll();
    const end = await headOf(world);
    const log = await logSince(longAgo);
    expect(new Set(log.map(({ name }) => name))).to.deep.equal(new Set(Object.keys(mayHear)));
    for (const { what, viewer, heard } of ways)
      await until(`${viewer} ${what} to be up to date`, () => positionOf(heard()) === end);

    for (const [node, url] of nodes())
      for (const [viewer, user] of viewers())
        for (const from of [longAgo, start, start + 2]) {
          add(`a replay of ${node} from ${from}`, viewer, await listen(url, user, from));
          const streamed = await stream(url, user, from);
          await until('the stream to be up to date', () => positionOf(streamed()) === end);
          add(`a stream of ${node} from ${from}`, viewer, streamed);
          for (const query of from === longAgo ? ['limit=500'] : ['limit=500', 'limit=3', 'limit=100&wait=5'])
            polls.push(
              poll(url, user, from, query, end).then((heard) => {
                add(`GET /events?${query} of ${node} from ${from}`, viewer, () => heard);
              }),
            );
        }
    await Promise.all(polls);
    expect(ways).to.have.lengthOf(12 + 2 * 3 * (3 + 5 + 5));
    for (const { what, viewer, heard } of ways) {
      expect(fault(heard(), log, viewer), `${viewer}, ${what}`).to.be.undefined;
      expect(heard().text.includes(REPORT), `a report to ${viewer}, ${what}`).to.equal(
        viewer === 'moderator',
      );
      expect(heard().text.includes(SECRET), `a note to ${viewer}, ${what}`).to.equal(viewer === 'reader');
    }
    const count = () =>
      counting.heard('feed:count').reduce((sum, [news]) => sum + (news as { count: number }).count, 0);
    const forAll = log.filter(({ seq, name }) => seq > start && mayHear[name]?.includes('stranger')).length;
    await until('the count', () => count() >= forAll);
    expect(count()).to.equal(forAll);

    const { body: metrics } = await world.anonymous.get<string>('/metrics');
    for (const words of [SECRET, REPORT]) {
      expect(metrics).not.to.include(words);
      expect(logged.join('')).not.to.include(words);
      expect(other.output).not.to.include(words);
    }
  });

  it('moves the position of everyone else, so that what is not for them is never missed nor asked for again', async () => {
    const start = await caughtUp(world);
    const live = await listen(world.url, stranger, undefined);
    const streamed = await stream(world.url, stranger, start);
    await tell(noteAdded, SECRET);
    await tell(reportFiled, REPORT);
    const end = await caughtUp(world);
    expect(end).to.equal(start + 2);
    await until('the beacon', () => positionOf(live()) === end);
    await until('the same on the stream', () => positionOf(streamed()) === end);
    const log = await logSince(start);
    expect(fault(live(), log, 'stranger')).to.be.undefined;
    expect(fault(streamed(), log, 'stranger')).to.be.undefined;

    const back = await RawClient.join(world.url, {
      token: stranger.token,
      after: start,
      epoch: world.ctx.feed.epoch,
    });
    expect(back.heard('ready')[0]?.[0]).to.include({ outcome: 'current', seq: end });
    expect(back.heard('feed:head')[0]).to.deep.equal([{ seq: end, prev: start }]);
    const { body } = await stranger.get<object>(`/events?after=${start}`);
    expect(body).to.deep.equal({ epoch: world.ctx.feed.epoch, head: end, events: [] });

    // Also while there is always something that is not for it.
    await until('a beacon between them', async () => {
      await tell(noteAdded, SECRET);
      return positionOf(live()) > end;
    });
  });

  it('is handed by the client package what is its user’s, over one connection, and what it does not know moves it on', async () => {
    const start = await caughtUp(world);
    const { epoch } = world.ctx.feed;
    const follow = async (user: TestUser) => {
      const client = createClient({ url: world.url });
      await client.logIn(user);
      const feed = client.feed({ after: start, epoch });
      feeds.push(feed);
      const heard: Logged[] = [];
      let connections = 0;
      feed.on('event', ({ seq, name }) => heard.push({ seq, name }));
      feed.on('ready', () => (connections += 1));
      return { feed, heard, connections: () => connections };
    };
    await tell(noteAdded, SECRET);
    await tell(reportFiled, REPORT);
    const both = [await follow(reader), await follow(stranger)];
    for (const { feed } of both) await feed.ready();
    for (let round = 0; round < 3; round += 1) {
      await tell(noteAdded, SECRET);
      await tell(noticePosted, 'for all');
      await tell(reportFiled, REPORT);
    }
    const end = await caughtUp(world);
    for (const { feed } of both) await until('the feed to be there', () => feed.position?.seq === end);
    const log = await logSince(start);
    for (const [at, viewer] of (['reader', 'stranger'] as const).entries()) {
      expect(both[at]!.heard).to.deep.equal(log.filter(({ name }) => mayHear[name]?.includes(viewer)));
      expect(both[at]!.connections(), viewer).to.equal(1);
    }
  });

  it('stays so in a crowd that comes and goes at any position while all kinds of events are told', async () => {
    const start = await caughtUp(world);
    const heard: { viewer: Viewer; heard: () => Heard }[] = [];
    const kinds = [noteAdded, noticePosted, reportFiled, noticePosted, noteAdded];
    for (let round = 0; round < 25; round += 1) {
      await Promise.all(
        Array.from({ length: 6 }, (_, at) => tell(kinds[(round * 7 + at * at) % kinds.length]!, 'words')),
      );
      const { seq } = world.ctx.feed;
      const from = Math.max(start, seq - ((round * 13) % 17));
      const [viewer, user] = viewers()[round % 2]!;
      heard.push({ viewer, heard: await listen(world.url, user, round % 5 === 4 ? undefined : from) });
    }
    const end = await caughtUp(world);
    const log = await logSince(start);
    for (const one of heard) {
      await until('everybody to be up to date', () => positionOf(one.heard()) === end);
      expect(fault(one.heard(), log, one.viewer), `${one.viewer} from ${one.heard().from}`).to.be.undefined;
    }
  });
});
