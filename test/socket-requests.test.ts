import { expect } from 'chai';
import type { Problem, Tally } from '../server/contract.ts';
import { appendPosts } from './support/append-sql.ts';
import { RawClient } from './support/raw-client.ts';
import { firstFault, type Heard, readyOf, record } from './support/sockets.ts';
import { caughtUp, tellVotes } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { createWorld, type TestSocket, type TestUser, type World } from './support/world.ts';

type Answer<T> = { ok: true; data: T } | { ok: false; error: Problem };

describe('what a socket asks', () => {
  let world: World;
  let alice: TestUser;
  let bob: TestUser;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
    bob = await world.user('bob');
  });
  after(() => world.close());

  const post = async (input: object = {}) =>
    (await alice.post<{ id: number }>('/posts', { title: 'a post', content: '', ...input })).body.id;

  const ask = <T>(socket: TestSocket, name: string, payload: unknown): Promise<Answer<T>> =>
    (
      socket.timeout(30_000) as unknown as {
        emitWithAck(name: string, payload: unknown): Promise<Answer<T>>;
      }
    ).emitWithAck(name, payload);

  const dataOf = <T>(answer: Answer<T>): T => {
    if (!answer.ok) throw new Error(answer.error.detail);
    return answer.data;
  };
  const problemOf = (answer: Answer<unknown>): Problem => {
    if (answer.ok) throw new Error('it was granted');
    return answer.error;
  };

  describe('track', () => {
    it('is answered with the tallies as they stand, of the posts that one may see', async () => {
      const [liked, plain] = [await post(), await post()];
      const draft = await post({ published: false });
      await bob.put(`/posts/${liked}/vote`);
      await alice.put(`/posts/${liked}/vote`);
      const socket = world.socket({ token: bob.token });
      await readyOf(socket);
      const asked = { post_ids: [plain, liked, draft, 999_999] };
      const { tallies } = dataOf(await ask<{ tallies: Tally[] }>(socket, 'track', asked));
      expect(tallies).to.deep.equal([
        { post_id: liked, votes: 2, replies: 0, rev: 2 },
        { post_id: plain, votes: 0, replies: 0, rev: 0 },
      ]);
      const hers = world.socket({ token: alice.token });
      await readyOf(hers);
      expect(dataOf(await ask<{ tallies: Tally[] }>(hers, 'track', asked)).tallies).to.have.lengthOf(3);
    });

    it('takes five hundred posts at once and five thousand in all, however often one is named', async () => {
      const socket = world.socket({ token: bob.token });
      await readyOf(socket);
      const { rows } = await world.pool.query<{ id: string }>(
        `with made as (
           insert into posts (owner_id, title, content) select $1, 'p', '' from generate_series(1, 5001)
           returning id, listed_at
         ) insert into post_tallies (post_id, hot) select id, hot_rank(0, listed_at) from made returning post_id as id`,
        [alice.id],
      );
      const there = rows.map(({ id }) => Number(id)).sort((a, b) => a - b);
      const ids = (from: number, many: number) => there.slice(from - 1, from - 1 + many);
      const [first, second] = ids(1, 2);
      const [last] = ids(5001, 1);
      const refused = problemOf(await ask(socket, 'track', { post_ids: ids(1, 501) }));
      expect(refused).to.include({ status: 422 });
      expect(refused.errors?.[0]?.loc).to.deep.equal(['payload', 'post_ids']);
      for (let at = 0; at < 10; at += 1)
        dataOf(await ask(socket, 'track', { post_ids: ids(1 + at * 500, 500) }));
      dataOf(await ask(socket, 'track', { post_ids: [first, first, second, ...ids(5000, 1)] }));
      expect(problemOf(await ask(socket, 'track', { post_ids: [last] }))).to.include({ status: 422 });
      expect(dataOf(await ask(socket, 'untrack', { post_ids: ids(7, 1) }))).to.deep.equal({ tracked: 4999 });
      dataOf(await ask(socket, 'track', { post_ids: [last, last, last] }));
    });

    it('is refused with every fault of its payload', async () => {
      const socket = world.socket({ token: bob.token });
      await readyOf(socket);
      const faulty = problemOf(await ask(socket, 'track', { post_ids: [0, '5', 1.5, 3], all: true }));
      expect(faulty.errors?.map(({ loc }) => loc.join('.'))).to.have.members([
        'payload.post_ids.0',
        'payload.post_ids.1',
        'payload.post_ids.2',
        'payload.all',
      ]);
      for (const payload of [undefined, null, 5, 'x', [], [1], true]) {
        expect(problemOf(await ask(socket, 'track', payload)).status, String(payload)).to.equal(422);
      }
    });
  });

  describe('feed:mode', () => {
    beforeEach(async () => {
      // The owner of a post that was voted for is told of it by an event, some time later.
      await tellVotes(world);
      await caughtUp(world);
    });

    it('goes from live to counting, to nothing and back to live, from the position that it answers', async () => {
      const socket = world.socket({ token: bob.token });
      const heard: Heard[] = record(socket);
      const counts: { count: number; seq: number }[] = [];
      socket.on('feed:count', (news) => counts.push(news));
      const start = (await readyOf(socket)).seq;
      await post();
      await until('the live event', () => heard.length === 1);
      expect(heard[0]).to.include({ seq: start + 1 });

      const counting = dataOf(await ask<{ seq: number }>(socket, 'feed:mode', { mode: 'count' }));
      expect(counting).to.deep.equal({ mode: 'count', seq: start + 1 });
      await post();
      await post();
      await until('the node to have both', () => world.ctx.feed.seq === start + 3);
      await until('both to be counted', () => counts.reduce((sum, { count }) => sum + count, 0) === 2);
      expect(counts.at(-1)).to.include({ seq: start + 3 });
      expect(heard).to.have.lengthOf(1);

      const told = counts.length;
      expect(dataOf(await ask(socket, 'feed:mode', { mode: 'off' }))).to.deep.equal({
        mode: 'off',
        seq: start + 3,
      });
      await post();
      await until('the node to have it', () => world.ctx.feed.seq === start + 4);
      const live = dataOf(await ask<{ seq: number }>(socket, 'feed:mode', { mode: 'live' }));
      expect(live).to.deep.equal({ mode: 'live', seq: start + 4 });
      await post();
      await until('the next live event', () => heard.length === 2);
      expect(heard[1]).to.include({ seq: start + 5 });
      expect(counts).to.have.lengthOf(told);
    });

    it('changes nothing when it is said again', async () => {
      const socket = world.socket({ token: bob.token });
      const heard = record(socket);
      const { seq } = await readyOf(socket);
      expect(dataOf(await ask(socket, 'feed:mode', { mode: 'live' }))).to.deep.equal({ mode: 'live', seq });
      await post();
      await until('the event', () => heard.length === 1);
      expect(problemOf(await ask(socket, 'feed:mode', { mode: 'loud' })).errors?.[0]?.loc).to.deep.equal([
        'payload',
        'mode',
      ]);
    });

    it('may be said before ready: the feed then continues from where ready says', async () => {
      /** Somebody who has said modes before `ready`, and where the feed was then. */
      const saidEarly = async (modes: string[]) => {
        const client = await RawClient.open(world.url);
        const start = await caughtUp(world);
        // The node is behind this client, and cannot look into the log yet.
        const log = await world.pool.connect();
        await log.query('begin; lock table feed_head in access exclusive mode');
        client.send(`40${JSON.stringify({ token: bob.token, after: start + 2 })}`);
        const isThere = (beginning: string) => () =>
          client.closed || client.frames.some((frame) => frame.startsWith(beginning));
        await until('the namespace', isThere('40'));
        for (const [id, mode] of modes.entries()) client.emit('feed:mode', { mode }, id);
        await until('the last answer', isThere(`43${modes.length - 1}[`));
        if (!client.closed) expect(await client.acknowledged(modes.length - 1)).to.deep.include({ ok: true });
        expect(client.heard('ready')).to.be.empty;
        // As another node would.
        await log.query(
          appendPosts(
            `select 'post:deleted', 999999990 + n, json_build_object('id', 999999990 + n) from generate_series(1, 3) n`,
          ),
        );
        await log.query('select number_events(500)');
        await log.query('commit');
        log.release();
        await until('ready', () => client.heard('ready').length === 1 || client.closed);
        return { client, start };
      };
      for (const modes of [['off', 'live'], ['count'], ['count', 'live'], ['live']]) {
        let { client, start } = await saidEarly(modes);
        // A slow machine takes longer for it than a node keeps anyone waiting.
        while (client.isToComeAgain) ({ client, start } = await saidEarly(modes));
        const ready = client.heard('ready')[0]![0] as { seq: number };
        expect(ready.seq).to.be.at.least(start + 2);
        await post();
        if (modes.at(-1) === 'live') {
          await until('the newest event', () => client.seqs().at(-1) === start + 4);
          const beyond = client.seqs().filter((seq) => seq > ready.seq);
          expect(firstFault(beyond, ready.seq)).to.be.undefined;
        } else {
          await until('the count', () => client.heard('feed:count').length > 0);
          expect(client.seqs()).to.be.empty;
        }
        client.terminate();
      }
    });

    it('count tells at most once a second', async () => {
      const socket = world.socket({ token: bob.token, feed: 'count' });
      const at: number[] = [];
      const watch = new Stopwatch();
      let counted = 0;
      socket.on('feed:count', ({ count }) => {
        at.push(Date.now());
        counted += count;
      });
      await readyOf(socket);
      const heard = record(socket);
      const began = Date.now();
      let written = 0;
      while (Date.now() - began < 3500 || at.length < 3) {
        await post();
        written += 1;
      }
      await until('all to be counted', () => counted === written);
      expect(at.length).to.be.at.most(Math.floor((Date.now() - began) / 1000) + 2);
      // Of two the first may have been read late.
      for (const [index, when] of at.entries())
        if (index > 0) expect(when - at[index - 1]!).to.be.at.least(900 - watch.paused);
      expect(heard).to.be.empty;
    });
  });

  it('feed:head comes every two seconds with the newest seq', async () => {
    const socket = world.socket({ token: bob.token });
    const watch = new Stopwatch();
    const heads: { seq: number; prev: number; at: number }[] = [];
    socket.on('feed:head', ({ seq, prev }) => heads.push({ seq, prev, at: Date.now() }));
    await readyOf(socket);
    await post();
    await until('three beacons', () => heads.length >= 3);
    const { seq } = world.ctx.feed;
    // Every event of the whole feed is for it: its newest one is the newest.
    expect(heads.at(-1)).to.include({ seq, prev: seq });
    // Not more often than that would be: a slice of a round may come a little early or late, and the first be read late.
    expect(heads[2]!.at - heads[0]!.at).to.be.at.least(2000 - watch.paused);
  });

  it('that there is no such message is said, with its name cut short', async () => {
    const socket = world.socket({ token: bob.token });
    await readyOf(socket);
    for (const name of ['shout', '__proto__', 'constructor', 'toString', '', 'x'.repeat(5000)]) {
      const problem = problemOf(await ask(socket, name, {}));
      expect(problem.status, name).to.equal(404);
      expect(problem.detail.length).to.be.below(100);
    }
  });
});
