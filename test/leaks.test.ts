import { expect } from 'chai';
import { Batch, BatchView } from '../server/delivery/batch.ts';
import { Delivery } from '../server/delivery/delivery.ts';
import { TopicIndex } from '../server/delivery/topic-index.ts';
import { eventTypes } from '../server/event-registry.ts';
import { append } from '../server/log/append.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { Relations } from '../server/topics/relations.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { type Act, actsOnPosts, actsOnRelations, type Cast, gatherCast } from './support/leak-acts.ts';
import {
  formFor,
  leakTable,
  type ProvokedEvent,
  type Topic,
  topics,
  unmatchedRows,
  type Viewer,
  viewers,
} from './support/leak-table.ts';
import {
  type Listening,
  overGet,
  overPoll,
  overSocket,
  overStream,
  overSubscribe,
  webhooksOf,
} from './support/leak-ways.ts';
import type { NodeProcess } from './support/node-process.ts';
import { noteAdded, noteEvents } from './support/note-events.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { endRawClients } from './support/raw-client.ts';
import { slowPart } from './support/slow-part.ts';
import { refusalOf } from './support/sockets.ts';
import { caughtUp, execute, headOf, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, type TestUser, type World } from './support/world.ts';

const liveWays = { 'a socket': overSocket, 'a stream': overStream, 'long-polling': overPoll };
const replayWays = {
  'a socket': overSocket,
  'a stream': overStream,
  'GET /events': overGet,
  subscribe: overSubscribe,
};
type WayName = keyof typeof liveWays | keyof typeof replayWays | 'a webhook';

/** One way of one viewer to one subscription. */
interface Place {
  what: string;
  viewer: Viewer;
  topic: Topic;
  /** Undefined while it is live. */
  replayOf: 'memory' | 'log' | undefined;
  way: WayName;
  listening: Listening;
}

type Provoked = ProvokedEvent & { seq: number };

/** What ends the wait for what must not come: a note to each viewer, which comes behind it over every way. */
const MARKER = 'note:added';

/** Puts something else in the place of a method. @returns what puts it back */
function replaced<T extends object, K extends keyof T>(
  of: T,
  name: K,
  by: (method: T[K]) => T[K],
): () => void {
  const method = of[name];
  of[name] = by(method);
  return () => {
    of[name] = method;
  };
}

describe('the leak table', () => {
  let world: World;
  let other: NodeProcess | undefined;
  let hooks: Awaited<ReturnType<typeof webhooksOf>> | undefined;
  let open: Listening[] = [];
  let markers = 0;

  before(async () => {
    world = await createWorld({ ...sharedSecret, WEBHOOK_ALLOW_PRIVATE: 'on' }, undefined, undefined, {
      block: 50,
    });
  });
  afterEach(async () => {
    for (const listening of open) listening.end();
    open = [];
    endRawClients();
    await hooks?.stop();
    hooks = undefined;
  });
  after(async () => {
    await other?.stop();
    await world.close();
    expect(other?.misconduct ?? []).to.deep.equal([]);
  });

  function topicOf(topic: Topic, { people, tag, draft }: Cast): string | undefined {
    const named = { author: `author:${people.owner.id}`, thread: `thread:${draft}`, tag: `tag:${tag}` };
    if (topic === 'public') return undefined;
    return topic === 'feed' || topic === 'home' ? topic : named[topic];
  }

  /** Opens ways of every viewer to every subscription. */
  async function listenAll(
    cast: Cast,
    ways: Partial<Record<WayName, typeof overSocket>>,
    from: { url: string; after: number; replayOf?: Place['replayOf'] },
    to: readonly Topic[] = topics,
  ): Promise<Place[]> {
    const { epoch } = world.ctx.feed;
    const opened = Object.entries(ways).flatMap(([way, over]) =>
      viewers.flatMap((viewer) =>
        to
          .filter((topic) => way !== 'subscribe' || topic !== 'public')
          .map(async (topic): Promise<Place> => {
            const listening = await over({
              url: from.url,
              user: cast.people[viewer],
              topic: topicOf(topic, cast),
              after: from.after,
              epoch,
            });
            open.push(listening);
            const what = `${viewer}, ${topic}, ${way} ${from.replayOf === undefined ? 'live' : `out of the ${from.replayOf}`}`;
            return { what, viewer, topic, replayOf: from.replayOf, way: way as WayName, listening };
          }),
      ),
    );
    return Promise.all(opened);
  }

  /** Writes a marker to each viewer. @returns its id */
  async function mark({ people }: Cast): Promise<number> {
    markers += 1;
    const id = markers;
    await world.ctx.db.transaction(async (tx) => {
      for (const { id: reader } of Object.values(people))
        await append(tx, noteAdded, { id, reader, words: `for ${reader}` });
    });
    return id;
  }

  async function allHave(places: readonly Place[], marker: number): Promise<void> {
    const has = ({ listening }: Place) =>
      listening.events().some(({ name, data }) => name === MARKER && data.id === marker);
    let waiting = places.filter(({ way }) => way !== 'subscribe');
    const allAreServed = () => {
      waiting = waiting.filter((place) => !has(place));
      return waiting.length === 0;
    };
    await until('the marker', allAreServed).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${waiting[0]?.what}: ${waiting[0]?.listening.text()}`);
    });
  }

  /** Does one thing after the other, and lets everyone who listens have a text before it is taken out. */
  async function provoke(cast: Cast, acts: readonly Act[], live: readonly Place[]): Promise<Provoked[]> {
    const provoked: Provoked[] = [];
    for (const { what, run, events, takesOut } of acts) {
      if (takesOut) await allHave(live, await mark(cast));
      const before = await headOf(world);
      await run();
      const logged = () =>
        rows<{ seq: number; name: string; audience: string }>(
          world,
          'select seq, name, audience from event_log where seq > $1 order by seq',
          [before],
        );
      await until(`the events of "${what}"`, async () => (await logged()).length >= events.length);
      await headOf(world);
      const found = await logged();
      expect(
        found.map(({ name }) => name),
        what,
      ).to.deep.equal(events.map(({ name }) => name));
      for (const [at, event] of events.entries()) provoked.push({ ...event, seq: found[at]!.seq });
    }
    await allHave(live, await mark(cast));
    return provoked;
  }

  /** What in one place is otherwise than the table says. */
  function faultsAt(
    { what, viewer, topic, replayOf, way, listening }: Place,
    provoked: Provoked[],
  ): string[] {
    const faults: string[] = [];
    const wanted: string[] = [];
    const allowed = new Set<string>();
    for (const event of provoked) {
      const { seq, name, to, words, superseded } = event;
      const form = formFor(event, viewer, topic);
      if (form === undefined || (to !== undefined && way === 'subscribe')) continue;
      const isRedacted =
        form === 'event' && replayOf !== undefined && (superseded === true || superseded === replayOf);
      wanted.push(`${seq} ${form === 'event' ? name : 'post:deleted'}${isRedacted ? ' redacted' : ''}`);
      if (form === 'event' && !isRedacted && words !== undefined) allowed.add(words);
    }
    const handed = listening
      .events()
      .filter(({ name }) => name !== MARKER)
      .map(({ seq, name, data }) => `${seq} ${name}${data.redacted ? ' redacted' : ''}`);
    if (handed.join() !== wanted.join())
      faults.push(`${what}: handed [${handed.join()}], which should be [${wanted.join()}]`);
    const text = listening.text();
    for (const words of new Set(provoked.map((event) => event.words)))
      if (words !== undefined && text.includes(words) !== allowed.has(words))
        faults.push(`${what}: ${allowed.has(words) ? 'without' : 'with'} "${words}"`);
    return faults;
  }

  const allFaults = (places: readonly Place[], provoked: Provoked[]) =>
    places.flatMap((place) => faultsAt(place, provoked));

  it('has a row for each event that a capability declares, and none for another', () => {
    const declared = eventTypes.map(({ name }) => name);
    expect(unmatchedRows(declared)).to.deep.equal([]);
    expect(unmatchedRows([...declared, noteEvents[0]!.name])).to.deep.equal(['note:added has no row']);
    expect(unmatchedRows(declared.slice(1))).to.deep.equal([`${declared[0]} is no event`]);
  });

  it('holds for every event, viewer and topic over every way, live, out of memory and out of the log', async function () {
    this.timeout(400_000);
    const cast = await gatherCast(world);
    const after = await caughtUp(world);
    const live = await listenAll(cast, liveWays, { url: world.url, after });
    expect(live).to.have.lengthOf(3 * viewers.length * topics.length);
    const provoked = [
      ...(await provoke(cast, actsOnPosts(cast), live)),
      ...(await provoke(cast, actsOnRelations(world, cast), live)),
    ];
    expect(new Set(provoked.map(({ name }) => name))).to.have.keys(...Object.keys(leakTable));
    expect(allFaults(live, provoked).join('\n')).to.equal('');

    const cut = provoked.filter(({ superseded }) => superseded !== undefined).map(({ seq }) => seq);
    await until('every superseded text to be gone from the log', async () => {
      const left = `select from event_log where seq = any ($1) and redaction <> '{}' and data -> 'redacted' is null`;
      return (await numberOf(world, `select count(*) from (${left}) left_over`, [cut])) === 0;
    });
    const last = await mark(cast);
    await caughtUp(world);
    hooks = await webhooksOf(world);
    const ofMemory = await listenAll(cast, replayWays, { url: world.url, after, replayOf: 'memory' });
    await allHave(ofMemory, last);
    expect(ofMemory).to.have.lengthOf((4 * topics.length - 1) * viewers.length);
    expect(allFaults(ofMemory, provoked).join('\n')).to.equal('');

    // One message after the other: of these the widest and the one that depends on relations.
    const byHook = await listenAll(
      cast,
      { 'a webhook': hooks.over },
      { url: world.url, after, replayOf: 'memory' },
      ['public', 'home'],
    );
    await allHave(byHook, last);
    expect(allFaults(byHook, provoked).join('\n')).to.equal('');

    // More than a node that starts reads into its memory, and for nobody.
    await execute(
      world,
      `insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
       select 'note:added', 'note', 1000000 + n, 'user:9000000000', '{}', 'nothing', '{}', '{}' from generate_series(1, 2500) n`,
    );
    await caughtUp(world);
    other = await startAnotherNode(world, 'other');
    const ofLog = await listenAll(cast, replayWays, { url: other.url, after, replayOf: 'log' });
    await allHave(ofLog, last);
    expect(allFaults(ofLog, provoked).join('\n')).to.equal('');
  });

  const planted: Record<string, { shows: RegExp[]; during: 'live' | 'replays'; put: () => () => void }> = {
    'replays forget who hides whom': {
      shows: [
        /^blocker, author, subscribe out of the memory: handed .*post:created/,
        /^muter, home, a socket out of the memory: handed .*post:created/,
        /^blocked, tag, a stream out of the memory: handed .*post:created/,
      ],
      during: 'replays',
      put: () => replaced(Relations.prototype, 'hides', () => () => false),
    },
    'GET /events forgets which topics were asked for': {
      shows: [/^stranger, home, GET \/events out of the memory: handed .*post:created/],
      during: 'replays',
      put: () =>
        replaced(
          Delivery.prototype,
          'admit',
          (admit) =>
            function (this: Delivery, subscriber, ...position) {
              if (subscriber.constructor.name === 'LongPoll') subscriber.subscription = undefined;
              admit.call(this, subscriber, ...position);
            },
        ),
    },
    'who hears only a topic that a post leaves is handed its text': {
      shows: [/^stranger, tag, a socket live: with "words-of-.*-untagged-end"/],
      during: 'live',
      put: () =>
        replaced(
          TopicIndex.prototype,
          'reach',
          (reach) =>
            function (this: TopicIndex, entry, onReached) {
              reach.call(this, entry, (subscriber) => onReached(subscriber, false));
            },
        ),
    },
    'the fan-out forgets whom an event is for': {
      shows: [
        /^stranger, public, a stream live: handed .*mute:added/,
        /^blocker, public, long-polling live: handed .*mute:added/,
      ],
      during: 'live',
      put: () =>
        replaced(
          Batch.prototype,
          'viewOf',
          () =>
            function (this: Batch, { told }) {
              const own = this.entries.filter(({ seq, name }) => seq > told && name !== MARKER);
              return new BatchView(this.epoch, own, told, this.last);
            },
        ),
    },
  };

  // A part on each day: each takes some ten seconds.
  for (const [bug, { shows, during, put }] of slowPart(Object.entries(planted)))
    it(`is seen to fail when ${bug}`, async () => {
      const cast = await gatherCast(world);
      const after = await caughtUp(world);
      const isLive = during === 'live';
      let places = await listenAll(cast, isLive ? liveWays : {}, {
        url: world.url,
        after,
      });
      let takeAway = isLive ? put() : undefined;
      try {
        const provoked = [
          ...(await provoke(cast, actsOnPosts(cast).slice(0, 5), [])),
          ...(await provoke(cast, actsOnRelations(world, cast).slice(5, 7), [])),
        ];
        await mark(cast);
        await caughtUp(world);
        takeAway ??= put();
        if (!isLive)
          places = await listenAll(cast, replayWays, { url: world.url, after, replayOf: 'memory' });
        const isSeen = () => {
          const faults = allFaults(places, provoked);
          return shows.every((fault) => faults.some((one) => fault.test(one)));
        };
        await until('it', isSeen).catch(() => expect.fail(allFaults(places, provoked).join('\n')));
      } finally {
        takeAway?.();
      }
    });

  it('has no place for a suspended user, over whatever way, also if the user moderates', async () => {
    const cast = await gatherCast(world);
    const { owner, follower, moderator } = cast.people;
    const admin = await world.user();
    await world.ctx.db.transaction((tx) => grantRole(tx, admin.username, 'admin', ''));
    const after = await caughtUp(world);
    const from = { url: world.url, after, epoch: world.ctx.feed.epoch };
    const listen = (user: TestUser) =>
      Promise.all(
        Object.values(liveWays).flatMap((over) =>
          topics.map((topic) => over({ ...from, user, topic: topicOf(topic, cast) })),
        ),
      );
    const theirs = await listen(moderator);
    const hers = await listen(follower);
    open.push(...theirs, ...hers);
    const body = { action: 'suspend', user_id: moderator.id, reason: 'for a test' };
    expect((await admin.post<object>('/moderation/actions', body)).status).to.equal(201);
    await until('the user to be out', async () => (await moderator.get('/posts')).status === 401);

    const words = `words-of-${cast.tag}-behind-a-suspension`;
    await writePost(owner, { content: `${words} #${cast.tag}` });
    expect((await follower.put(`/users/${owner.id}/report`, { reason: 'spam' })).status).to.equal(204);
    await until('the others to be told', () =>
      hers.every((one, at) => topics[at % topics.length] === 'thread' || one.text().includes(words)),
    );
    expect(theirs.filter((one) => one.text().includes(words) || one.text().includes('report:added'))).to.be
      .empty;
    // Their socket, stream or long-poll is over, and another one is not given.
    for (const topic of topics) {
      const named = topicOf(topic, cast);
      const socket = world.socket({
        token: moderator.token,
        ...(named !== undefined && { topics: [named] }),
      });
      expect(await refusalOf(socket)).to.include({ status: 401 });
      const query = named === undefined ? '' : `topics=${named}`;
      for (const path of [`/events?${query}`, `/events?wait=5&${query}`, `/events/stream?${query}`])
        expectProblem(await moderator.get(path), 401);
    }
  });

  it('has no place for anyone without a token, over whatever way', async () => {
    for (const topic of [undefined, 'feed', 'home', 'author:1', 'thread:1', 'tag:a']) {
      const query = topic === undefined ? '' : `topics=${topic}`;
      const socket = world.socket(topic === undefined ? {} : { topics: [topic] });
      expect(await refusalOf(socket)).to.include({ status: 401 });
      for (const path of [`/events?${query}`, `/events?wait=5&${query}`, `/events/stream?${query}`])
        expectProblem(await new Api(world.url).get(path), 401);
    }
  });
});
