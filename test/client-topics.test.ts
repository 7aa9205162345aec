import { expect } from 'chai';
import {
  type Client,
  createClient,
  type Feed,
  type FeedOptions,
  type LiveEvent,
  type Subscription,
  type TopicReset,
} from '../client/src/index.ts';
import { createFrameProxy, type FrameProxy } from './support/frame-proxy.ts';
import { postIdOf } from './support/posts.ts';
import { refusal } from './support/refusal.ts';
import { caughtUp } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

/** A subscription and everything that it has told. */
interface Heard {
  subscription: Subscription;
  events: LiveEvent[];
  resets: TopicReset[];
}

describe('a feed with topics', () => {
  let world: World;
  let proxy: FrameProxy;
  let reader: Client;
  let writers: Client[];
  let ids: number[];
  let open: Feed[];

  before(async () => {
    world = await createWorld();
    proxy = await createFrameProxy(world.url);
    reader = createClient({ url: proxy.url });
    await reader.signUp({ email: 'reader@example.org', password: PASSWORD, username: 'reader' });
    writers = [0, 1, 2].map(() => createClient({ url: world.url }));
    ids = [];
    for (const [at, writer] of writers.entries()) {
      const user = await writer.signUp({
        email: `w${at}@example.org`,
        password: PASSWORD,
        username: `writer${at}`,
      });
      ids.push(user.id);
    }
  });
  after(async () => {
    await proxy.close();
    await world.close();
  });
  beforeEach(() => {
    open = [];
  });
  afterEach(() => {
    proxy.drops = () => false;
    for (const feed of open) feed.close();
  });

  function listen(options: FeedOptions): Feed {
    const feed = reader.feed({ reconnect: { base: 50, cap: 400 }, ...options });
    open.push(feed);
    return feed;
  }

  function record(subscription: Subscription): Heard {
    const heard: Heard = { subscription, events: [], resets: [] };
    subscription.on('event', (event) => heard.events.push(event));
    subscription.on('reset', (reset) => heard.resets.push(reset));
    return heard;
  }

  const topic = (at: number) => `author:${ids[at]}`;
  const write = async (at: number, title = 'Post', content = '') =>
    (await writers[at]!.posts.create({ title, content })).id;
  const idsOf = (events: readonly LiveEvent[]) => events.map(({ data }) => postIdOf(data));
  const liveAgain = (feed: Feed) => until('it is live', () => feed.status.state === 'live');
  /** A position after all that has been written so far. */
  const here = async () => {
    const id = await write(2, 'Here');
    let seq = 0;
    let after = 0;
    await until('it is numbered', async () => {
      const { events } = await writers[2]!.events({ after, limit: 500 });
      after = events.at(-1)?.seq ?? after;
      seq = events.find((event) => event.name === 'post:created' && event.data.id === id)?.seq ?? 0;
      return seq > 0;
    });
    return seq;
  };

  it('receives its topics alone, and more of them once they are wanted', async () => {
    const feed = listen({ topics: [topic(0)] });
    const events: LiveEvent[] = [];
    feed.on('event', (event) => events.push(event));
    await feed.ready();
    const first = await write(0);
    await write(1);
    const second = await write(0);
    await until('both of its topic', () => events.length === 2);
    const added = record(feed.subscribe(topic(1)));
    await added.subscription.ready();
    expect(feed.topics).to.deep.equal([topic(0), topic(1)]);
    const third = await write(1);
    await until('the one of the new topic', () => events.length === 3);
    expect(idsOf(events)).to.deep.equal([first, second, third]);
    expect(idsOf(added.events)).to.deep.equal([third]);
    added.subscription.close();
    expect(feed.topics).to.deep.equal([topic(0)]);
    feed.unsubscribe(topic(0));
    await until('the server has been told', async () => {
      const before = events.length;
      await write(0);
      await write(1);
      await here();
      await until('the feed has passed it', () => feed.behind === 0);
      return events.length === before;
    });
  });

  it('hands over what came since a list, once and in order, while another topic goes on', async () => {
    const feed = listen({ topics: [topic(0)] });
    await feed.ready();
    const from = await here();
    const wanted = [await write(1), await write(1)];
    await write(0);
    const { opened } = proxy;
    const heard = record(feed.subscribe(topic(1), { from }));
    const under = [write(1), write(0), write(1)];
    await heard.subscription.ready();
    const during = await Promise.all(under);
    wanted.push(during[0]!, during[2]!, await write(1));
    const ofTopic = () => heard.events.filter(({ data }) => wanted.includes(postIdOf(data) ?? 0));
    await until('all of the topic', () => ofTopic().length >= wanted.length);
    expect(new Set(idsOf(ofTopic()))).to.deep.equal(new Set(wanted));
    const seqs = heard.events.map(({ seq }) => seq);
    expect(seqs).to.deep.equal([...new Set(seqs)].sort((a, b) => a - b));
    expect(seqs[0]).to.be.greaterThan(from);
    expect(heard.resets).to.be.empty;
    expect(proxy.opened).to.equal(opened);
  });

  it('begins with its subscriptions, without asking for them one by one', async () => {
    const from = await here();
    const missed = await write(1);
    const feed = listen({ topics: [], after: from });
    let asked = 0;
    proxy.drops = (frame) => {
      if (frame.startsWith('43') && frame.includes('"events"')) asked += 1;
      return false;
    };
    const heard = record(feed.subscribe([topic(1)], { from }));
    await heard.subscription.ready();
    await until('what was missed', () => heard.events.length === 1);
    expect(idsOf(heard.events)).to.deep.equal([missed]);
    expect(asked).to.equal(0);
  });

  it('says its topics again after its connection was cut, and hands on what it missed', async () => {
    const feed = listen({ topics: [topic(0)] });
    await feed.ready();
    const heard = record(feed.subscribe(topic(1), { from: await here() }));
    await heard.subscription.ready();
    const wanted = [];
    for (let round = 0; round < 3; round += 1) {
      wanted.push(await write(1));
      proxy.cut();
      wanted.push(await write(1), await write(1));
      await liveAgain(feed);
    }
    await until('all', () => heard.events.length >= wanted.length);
    expect(idsOf(heard.events)).to.deep.equal(wanted);
  });

  it('asks again when the connection ends before the answer', async () => {
    const feed = listen({ topics: [topic(0)] });
    await feed.ready();
    const from = await here();
    const missed = await write(1);
    // What has no number yet is in no answer.
    await caughtUp(world);
    let lost = 0;
    proxy.drops = (frame) => {
      if (!frame.startsWith('43') || lost > 0) return false;
      lost += 1;
      setTimeout(() => proxy.cut(), 0);
      return true;
    };
    const heard = record(feed.subscribe(topic(1), { from }));
    await heard.subscription.ready();
    expect(lost).to.equal(1);
    expect(idsOf(heard.events)).to.deep.equal([missed]);
  });

  it('connects again where the answer does not come over a connection that is there', async () => {
    const [asking, silent] = [listen({ topics: [topic(0)] }), listen({ topics: [topic(0)] })];
    await Promise.all([asking.ready(), silent.ready()]);
    await silent.setMode('off');
    const from = await here();
    const missed = await write(1);
    await caughtUp(world);
    const opened = proxy.opened;
    let lost = 0;
    proxy.drops = (frame) => {
      if (!frame.startsWith('43') || lost === 2) return false;
      lost += 1;
      return true;
    };
    const heard = record(asking.subscribe(topic(1), { from }));
    const events: LiveEvent[] = [];
    silent.on('event', (event) => events.push(event));
    await Promise.all([heard.subscription.ready(), silent.setMode('live')]);
    expect(lost).to.equal(2);
    expect(proxy.opened, 'each over another connection').to.equal(opened + 2);
    await liveAgain(silent);
    expect(idsOf(heard.events)).to.deep.equal([missed]);
    const next = await write(0);
    await until('it is told', () => events.some(({ data }) => postIdOf(data) === next));
  });

  it('takes a subscription at whatever moment of the first ready', async () => {
    for (let turns = 0; turns < 8; turns += 1) {
      const feed = listen({ topics: [] });
      await feed.ready();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      await feed.subscribe(topic(1)).ready();
      feed.close();
    }
  });

  it('asks again to leave a topic where the server had no time for it', async () => {
    const feed = listen({ topics: [topic(0)] });
    await feed.ready();
    const left = feed.subscribe(topic(1));
    await left.ready();
    const heard: LiveEvent[] = [];
    feed.on('event', (event) => heard.push(event));
    // More than a connection may ask at once.
    const asked = Promise.all(Array.from({ length: 60 }, () => feed.setMode('live')));
    left.close();
    await asked;
    await until('it has left', async () => {
      const [unwanted, wanted] = [await write(1), await write(0)];
      await until('what is wanted', () => idsOf(heard).includes(wanted));
      return !idsOf(heard).includes(unwanted);
    });
  });

  it('tells of a topic of which too much has come that it has to be loaded again, and continues', async () => {
    const feed = listen({ topics: [] });
    await feed.ready();
    const from = await here();
    for (let at = 0; at < 20; at += 1) await write(1, 'Long', 'x'.repeat(9000));
    const small = await write(0);
    await caughtUp(world);
    const heard = record(feed.subscribe([topic(0), topic(1)], { from }));
    await heard.subscription.ready();
    expect(heard.resets.map(({ topics }) => topics)).to.deep.equal([[topic(1)]]);
    expect(heard.resets[0]!.seq).to.be.at.least(from + 20);
    const next = await write(1);
    await until('what comes after it', () => idsOf(heard.events).includes(next));
    expect(idsOf(heard.events)).to.deep.equal([small, next]);
  });

  it('refuses what is no topic, and any where everything public is received', async () => {
    const feed = listen({ topics: [] });
    const refused: string[] = [];
    feed.on('refused', ({ code }) => refused.push(code));
    const wrong = feed.subscribe('nonsense', { from: 1 });
    expect(await refusal(wrong.ready())).to.include({ code: 'invalid', status: 422 });
    expect(await refusal(wrong.ready())).to.include({ code: 'invalid' });
    const everything = listen({});
    const added = everything.subscribe(topic(0), { from: 1 });
    expect(await refusal(added.ready())).to.include({ code: 'invalid' });
    expect(refused).to.deep.equal(['invalid']);
    expect(feed.status.state).to.equal('live');
  });

  it('has one topic that is refused refused alone, also where the handshake was to say it', async () => {
    const feed = listen({ topics: [topic(0)] });
    const refused: string[] = [];
    feed.on('refused', ({ code }) => refused.push(code));
    const [wrong, right] = [feed.subscribe('tag:c++'), record(feed.subscribe(topic(1)))];
    const outcome = refusal(wrong.ready());
    await Promise.all([feed.ready(), right.subscription.ready()]);
    expect(await outcome).to.include({ code: 'invalid', status: 422 });
    proxy.refusing = true;
    proxy.cut();
    await until('it is offline', () => feed.status.state === 'offline');
    const from = feed.position!.seq;
    const wrongAgain = feed.subscribe('tag:c++');
    const again = record(feed.subscribe(topic(2), { from }));
    const outcomeAgain = refusal(wrongAgain.ready());
    const missed = [await write(1), await write(2)];
    proxy.refusing = false;
    await Promise.all([liveAgain(feed), again.subscription.ready()]);
    expect(await outcomeAgain).to.include({ code: 'invalid', status: 422 });
    expect(refused).to.deep.equal(['invalid', 'invalid']);
    expect(feed.topics).to.deep.equal([topic(0), topic(1), topic(2)]);
    await until('what was missed', () => right.events.length > 0 && again.events.length > 0);
    expect(idsOf(right.events).slice(0, 1)).to.deep.equal(missed.slice(0, 1));
    expect(idsOf(again.events)).to.include(missed[1]);
  });

  it('has one topic too many refused, and follows the others', async () => {
    const feed = writers[0]!.feed({ topics: Array.from({ length: 100 }, (_, at) => `tag:t${at}`) });
    open.push(feed);
    const surplus = feed.subscribe(topic(1));
    const outcome = refusal(surplus.ready());
    await feed.ready();
    expect(await outcome).to.include({ code: 'invalid', status: 422 });
    expect(feed.status.state).to.equal('live');
  });

  it('ends with what the server says of options that it does not accept', async () => {
    for (const wrong of [{ topics: ['tag:c++'] }, { after: 1, epoch: 'nonsense' }]) {
      // Not through the proxy, which holds a client to what the document allows.
      const feed = writers[0]!.feed(wrong);
      open.push(feed);
      const why = { code: 'invalid', status: 422 };
      expect(await refusal(feed.ready())).to.include(why);
      expect(await refusal(feed[Symbol.asyncIterator]().next())).to.include(why);
      expect(feed.status).to.deep.include({ state: 'ended', reason: 'refused' });
      expect(feed.status).to.have.nested.property('problem.errors.length', 1);
    }
  });

  it('hands on what concerns the user alone, also while a subscription is on its way', async () => {
    const feed = listen({ topics: [] });
    await feed.ready();
    const from = await here();
    await reader.users.follow(ids[0]!);
    await until('it has come', () => !feed.behind);
    const heard = record(feed.subscribe(topic(1), { from }));
    const meanwhile = reader.users.unfollow(ids[0]!);
    await heard.subscription.ready();
    await meanwhile;
    await until('both', () => heard.events.length === 2);
    expect(heard.events.map(({ name }) => name)).to.deep.equal(['follow:added', 'follow:removed']);
  });

  it('gives each subscription exactly its part of the log, however they change and whatever is cut', async () => {
    const feed = listen({ topics: [] });
    await feed.ready();
    const start = await here();
    const all: (Heard & { at: number; from: number; closed: boolean })[] = [];
    let writing = true;
    let written = 0;
    const busy = writers.slice(0, 2).map(async (_, at) => {
      for (; writing; written += 1) await write(at);
    });
    const random = (below: number) => Math.floor(Math.random() * below);
    // Where writes are slow there are more of them.
    for (let round = 0; round < 40 || written < 60; round += 1) {
      const at = random(2);
      const { position } = await reader.posts.list({ limit: 1, ownerId: ids[at]! });
      if (random(3) === 0) proxy.cut();
      const heard = record(feed.subscribe(topic(at), { from: position.seq }));
      all.push({ ...heard, at, from: position.seq, closed: false });
      if (random(2) === 0) await heard.subscription.ready();
      if (random(2) > 0) continue;
      const one = all[random(all.length)]!;
      one.closed = true;
      one.subscription.close();
    }
    writing = false;
    await Promise.all(busy);
    const end = await here();
    await until(
      'the feed has passed it',
      () => feed.status.state === 'live' && (feed.position?.seq ?? 0) >= end,
    );
    // The answer to the last of them may still be on its way.
    await Promise.all(all.flatMap(({ closed, subscription }) => (closed ? [] : [subscription.ready()])));
    const log: LiveEvent[] = [];
    for (let after = start; after < end;) {
      const { events } = await writers[2]!.events({ after, limit: 500 });
      log.push(...events);
      after = events.at(-1)?.seq ?? end;
    }
    expect(log.length).to.be.greaterThan(50);
    const byWriter = (events: readonly LiveEvent[], at: number) =>
      events.filter((event) => event.name === 'post:created' && event.data.owner_id === ids[at]);
    for (const { events, at, from, resets, closed } of all) {
      const seqs = byWriter(events, at).map(({ seq }) => seq);
      const wanted = byWriter(log, at)
        .map(({ seq }) => seq)
        .filter((seq) => seq > from);
      expect(resets).to.be.empty;
      // One that was closed has the beginning of its part.
      expect(seqs).to.deep.equal(closed ? wanted.slice(0, seqs.length) : wanted);
    }
    expect(all.filter(({ closed }) => !closed)).to.have.length.greaterThan(5);
  });
});
