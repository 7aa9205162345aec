import { expect } from 'chai';
import type { Tally } from '../server/contract.ts';
import { MissedTallies } from '../server/counters/missed-tallies.ts';
import { TallyCoalescer } from '../server/counters/tally-coalescer.ts';
import { TimeSlices } from '../server/delivery/time-slices.ts';
import type { Subscriber } from '../server/transports/socketio/subscriber.ts';
import { TallyDelivery } from '../server/transports/socketio/tally-delivery.ts';
import { appendPosts } from './support/append-sql.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { readyOf } from './support/sockets.ts';
import { caughtUp, tellVotes } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

describe('tallies', () => {
  let world: World;
  let alice: TestUser;
  let bob: TestUser;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
    bob = await world.user('bob');
  });
  afterEach(endRawClients);
  after(() => world.close());

  const post = async (input: object = {}) =>
    (await alice.post<{ id: number }>('/posts', { title: 'a post', content: '', ...input })).body.id;

  /** Every tally of a client, frame by frame. */
  const framesOf = (client: RawClient) => client.heard('votes').map(([tallies]) => tallies as Tally[]);
  const newest = (client: RawClient, postId: number) =>
    framesOf(client)
      .flat()
      .findLast((tally) => tally.post_id === postId);
  const counted = async (postId: number) => {
    const [rows] = await world.ctx.db
      .share('service')
      .query(`select count(*) as votes from votes where post_id = ${postId}`);
    return (rows[0] as { votes: number }).votes;
  };

  it('go to those who want all, to those who track the post, and to nobody else', async () => {
    const [tracked, other] = [await post(), await post()];
    const [all, some, none] = await Promise.all(
      ['all', 'tracked', 'none'].map((tallies) => RawClient.join(world.url, { token: bob.token, tallies })),
    );
    for (const client of [some!, none!]) {
      client.emit('track', { post_ids: [tracked] }, 1);
      await client.acknowledged(1);
    }
    await bob.put(`/posts/${other}/vote`);
    await bob.put(`/posts/${tracked}/vote`);
    const tally = { post_id: tracked, votes: 1, replies: 0, rev: 1 };
    await until(
      'the tally',
      () => newest(all!, tracked) !== undefined && newest(some!, tracked) !== undefined,
    );
    expect(newest(some!, tracked)).to.deep.equal(tally);
    expect(newest(all!, other)).to.deep.equal({ post_id: other, votes: 1, replies: 0, rev: 1 });
    expect(newest(some!, other)).to.be.undefined;

    some!.emit('untrack', { post_ids: [tracked] }, 2);
    await some!.acknowledged(2);
    await bob.delete(`/posts/${tracked}/vote`);
    await until('the next tally', () => newest(all!, tracked)?.rev === 2);
    expect(newest(some!, tracked)).to.deep.equal(tally);
    expect(framesOf(none!)).to.be.empty;
  });

  it('come at most ten times a second under a storm, are absolute, only grow in rev, and end at count(*)', async () => {
    const posts = await Promise.all(Array.from({ length: 5 }, () => post()));
    await world.ctx.db.share('service').query(`
      insert into users (id, email, username, password_hash)
      select 100000 + n, 'v' || n || '@example.org', 'voter-' || n, 'x' from generate_series(1, 500) n`);
    const client = await RawClient.join(world.url, { token: bob.token });
    const arrivals: number[] = [];
    client.ws.on('message', (data: Buffer) => {
      if (data.toString().startsWith('42["votes"')) arrivals.push(performance.now());
    });
    const began = performance.now();
    let votes = 0;
    // A busy machine takes longer for as many.
    while (performance.now() - began < 3000 || votes <= 500 || arrivals.length < 5) {
      await Promise.all(
        Array.from({ length: 100 }, () => {
          votes += 1;
          const postId = posts[Math.floor(Math.random() * 5)]!;
          return world.ctx.voteWriter.cast(
            100_001 + Math.floor(Math.random() * 500),
            postId,
            Math.random() < 0.7,
            ['an address'],
          );
        }),
      );
    }
    for (const postId of posts) {
      const truth = await counted(postId);
      // By its rev: an older tally may happen to have as many votes.
      const { rows } = await world.pool.query<{ rev: number }>(
        'select rev from post_tallies where post_id = $1',
        [postId],
      );
      await until('the newest tally', () => newest(client, postId)?.rev === rows[0]!.rev);
      expect(newest(client, postId)?.votes).to.equal(truth);
      const rest = await bob.get<{ votes: number; rev: number }>(`/posts/${postId}`);
      expect(rest.body).to.include({ votes: truth, rev: newest(client, postId)!.rev });
      const revs = framesOf(client)
        .flat()
        .filter((tally) => tally.post_id === postId)
        .map(({ rev }) => rev);
      expect(revs).to.deep.equal([...new Set(revs)].sort((a, b) => a - b));
    }
    // Some come after the last vote.
    expect(arrivals.length).to.be.at.most((arrivals.at(-1)! - began) / 100 + 2);
  });

  it('are kept for posts that there are alone, also when the look-up fails', async () => {
    const [before, after] = [await post(), await post()];
    const client = await RawClient.join(world.url, { token: bob.token, tallies: 'tracked' });
    const [socket] = [...world.server.service.gateway.io.of('/').sockets.values()].slice(-1);
    const { tracked } = socket!.data as Subscriber;
    const untracked = async (id: number) => {
      client.emit('untrack', { post_ids: [] }, id);
      return (await client.acknowledged(id)) as { data: { tracked: number } };
    };
    expect(tracked).to.be.undefined;
    for (let at = 0; at < 11; at += 1) {
      client.emit('track', { post_ids: Array.from({ length: 499 }, (_, n) => 1e9 + at * 499 + n) }, at + 1);
      expect(await client.acknowledged(at + 1)).to.deep.equal({ ok: true, data: { tallies: [] } });
    }
    client.emit('track', { post_ids: [before, 1e9] }, 20);
    expect(await client.acknowledged(20)).to.deep.include({ ok: true });
    expect((await untracked(21)).data.tracked).to.equal(1);

    await world.pool.query('alter table post_tallies rename to gone');
    try {
      client.emit('track', { post_ids: [before, after] }, 22);
      expect(await client.acknowledged(22)).to.deep.include({ ok: false });
    } finally {
      await world.pool.query('alter table gone rename to post_tallies');
    }
    expect((await untracked(23)).data.tracked).to.equal(1);
    // The service may have seen that a table was away.
    await until('a vote to be taken', async () => (await alice.put(`/posts/${before}/vote`)).status === 200);
    await until('the tally of what was tracked before', () => newest(client, before) !== undefined);
  });

  it('of a post that two requests name at once are kept if the later one finds it, whichever ends first', () => {
    const delivery = new TallyDelivery({
      ...world.ctx,
      missedTallies: () => Promise.resolve({ tallies: [], incomplete: false }),
      slices: new TimeSlices(10),
      end: () => undefined,
    });
    const tally = { post_id: 1, votes: 0, replies: 0, rev: 0 };
    const [first, second] = [{}, {}];
    for (const laterEndsFirst of [true, false]) {
      const subscriber = { tallies: 'tracked' } as Subscriber;
      delivery.track(subscriber, [1, 2], first);
      delivery.track(subscriber, [1, 2], second);
      const ends = [
        () => delivery.retain(subscriber, [1, 2], first, []),
        () => delivery.retain(subscriber, [1, 2], second, [tally]),
      ];
      for (const end of laterEndsFirst ? ends.reverse() : ends) end();
      expect([...(subscriber.tracked?.keys() ?? [])]).to.deep.equal([1]);
      delivery.remove(subscriber);
      expect(subscriber.tracked?.size).to.equal(0);
    }
  });

  it('of a draft are told to nobody, not even to its owner', async () => {
    const draft = await post({ published: false });
    const owner = await RawClient.join(world.url, { token: alice.token });
    const tracker = await RawClient.join(world.url, { token: alice.token, tallies: 'tracked' });
    tracker.emit('track', { post_ids: [draft] }, 1);
    await tracker.acknowledged(1);
    expect((await alice.put(`/posts/${draft}/vote`)).status).to.equal(200);
    const published = await post();
    await alice.put(`/posts/${published}/vote`);
    await until('a later tally', () => newest(owner, published) !== undefined);
    // Nor by the road through the database, which is read every quarter of a second.
    const read = world.ctx.feed.readAt;
    await until('the next look', () => world.ctx.feed.readAt > read + 500);
    expect(newest(owner, draft)).to.be.undefined;
    expect(framesOf(tracker)).to.be.empty;
  });

  it('that another node has counted come through the database alone', async () => {
    const id = await post();
    const client = await RawClient.join(world.url, { token: bob.token });
    await world.ctx.db
      .share('service')
      .query(`select * from cast_votes(array[${bob.id}], array[${id}], array[true], true)`);
    await until('the tally', () => newest(client, id)?.votes === 1);
  });

  it('that changed while a client was away are told when it comes back', async () => {
    const id = await post();
    const first = await RawClient.join(world.url, { token: bob.token });
    const after = world.ctx.feed.seq;
    first.terminate();
    await bob.put(`/posts/${id}/vote`);
    const epoch = world.ctx.feed.epoch;
    const back = await RawClient.join(world.url, { token: bob.token, after, epoch });
    await until('the tally', () => newest(back, id)?.votes === 1);
  });

  it('that change between the read for one returning client and that for the next are missed by neither', async () => {
    const id = await post();
    const after = world.ctx.feed.seq;
    for (let round = 1; round <= 15; round += 1) {
      const client = RawClient.join(world.url, { token: bob.token, after });
      const { rev } = await world.ctx.voteWriter.cast(bob.id, id, round % 2 === 1, ['an address']);
      const next = RawClient.join(world.url, { token: bob.token, after });
      for (const joined of await Promise.all([client, next])) {
        await until('the newest tally', () => newest(joined, id)?.rev === rev);
        joined.terminate();
      }
    }
  });

  it('that were missed are read a few times for all who return together, from however many positions', async () => {
    const id = await post();
    await bob.put(`/posts/${id}/vote`);
    const reads: number[] = [];
    const pool = new Proxy(world.pool, {
      get: (target, property) => {
        if (property !== 'query') return Reflect.get(target, property, target) as unknown;
        return (query: { text: string; values: [number] }) => {
          reads.push(query.values[0]);
          return target.query(query);
        };
      },
    });
    const missed = new MissedTallies(pool);
    const positions = Array.from({ length: 500 }, (_, at) => ((at * 137) % 500) * 100);
    const answers = await Promise.all(positions.map((position) => missed.since(position)));
    expect(reads).to.have.length.within(1, 8);
    expect(Math.min(...reads)).to.equal(0);
    for (const { tallies } of answers) expect(tallies.map(({ post_id }) => post_id)).to.include(id);
  });

  it('that were missed are told also where an event was numbered long after it was written', async () => {
    const fact = (age: string, many: number) =>
      world.pool.query(
        appendPosts(
          `select 'post:deleted', 1000000 + n, json_build_object('id', 1000000 + n), clock_timestamp() - $1::interval
         from generate_series(1, $2) n`,
          ['created_at'],
        ),
        [age, many],
      );
    const numbered = async () => {
      // The votes of the tests before are told to the author by events of their own, else some seconds later.
      await tellVotes(world);
      return caughtUp(world);
    };
    const id = await post();
    // Positions are told by the hundred: the client's is to be the first that has the two events to come.
    await fact('0', (198 - ((await numbered()) % 100)) % 100);
    await numbered();
    // The author's own vote is told to nobody.
    await alice.put(`/posts/${id}/vote`);
    await fact('10 seconds', 1);
    await numbered();
    await fact('0', 1);
    const after = await numbered();
    expect(after % 100).to.equal(0);
    const told = await new MissedTallies(world.pool).since(after);
    expect(told.tallies).to.deep.include({ post_id: id, votes: 1, replies: 0, rev: 1 });
  });

  it('follow when a user is deleted with all votes', async () => {
    const id = await post();
    const carol = await world.user('carol');
    await carol.put(`/posts/${id}/vote`);
    const socket = world.socket({ token: bob.token });
    let votes = -1;
    socket.on('votes', (tallies) => (votes = tallies.find((tally) => tally.post_id === id)?.votes ?? votes));
    await readyOf(socket);
    expect((await carol.delete('/users/me', { password: carol.password })).status).to.equal(204);
    await until('the tally without her vote', () => votes === 0);
  });

  it('on the coalescer are told once each, the newest alone, however they come', async () => {
    const told: Tally[][] = [];
    let coalesced = 0;
    const coalescer = new TallyCoalescer({
      window: 50,
      tell: (tallies) => {
        told.push(tallies);
        return Promise.resolve(0);
      },
      onCoalesced: () => (coalesced += 1),
      onOverflow: () => undefined,
    });
    const tally = (rev: number) => ({ post_id: 1, votes: rev * 10, replies: 0, rev });
    coalescer.report([tally(1)]);
    await until('the first, at once', () => told.length === 1);
    for (const rev of [3, 2, 5, 5, 4, 1]) coalescer.report([tally(rev)]);
    await until('the second', () => told.length === 2);
    expect(told).to.deep.equal([[tally(1)], [tally(5)]]);
    expect(coalesced).to.equal(1);
    coalescer.report([tally(5), tally(4)]);
    coalescer.report([{ post_id: 2, votes: 1, replies: 0, rev: 1 }]);
    await until('the third', () => told.length === 3);
    expect(told[2]).to.deep.equal([{ post_id: 2, votes: 1, replies: 0, rev: 1 }]);
    coalescer.report([tally(9)]);
    coalescer.forget();
    coalescer.report([tally(1)]);
    await until('the first of another database', () => told.length === 4);
    expect(told[3]).to.deep.equal([tally(1)]);
    coalescer.stop();
  });
});
