import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { FeedEvent } from '../server/contract.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { EventStream } from './support/event-stream.ts';
import { postIdOf, writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { rawBytes } from './support/raw-request.ts';
import { execute, caughtUp } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { Api, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const SECRET = 'a secret of a test that is long enough';

interface Page {
  epoch: string;
  head: number;
  events: FeedEvent[];
}

describe('events without Socket.IO', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  let epoch: string;
  before(async () => {
    world = await createWorld({ JWT_SECRET: SECRET });
    ada = await world.user();
    bob = await world.user();
    await writePost(ada);
    epoch = (await bob.get('/posts')).headers.get('x-feed-epoch') ?? '';
  });
  after(() => world.close());

  /** Somebody with a token of the same session that ends at this moment, a full second. */
  const withEnd = (user: TestUser, expiresAt: number) =>
    new Api(
      world.url,
      jwt.sign({ ...(jwt.decode(user.token) as object), exp: Math.floor(expiresAt / 1000) }, SECRET),
    );
  const soon = (seconds: number) => (Math.floor(Date.now() / 1000) + seconds) * 1000;

  describe('GET /events', () => {
    it('continues from where a list stood, in order and without a hole, in pages', async () => {
      await caughtUp(world);
      const list = await bob.get<PostAnswer[]>('/posts');
      const start = Number(list.headers.get('x-feed-seq'));
      const post = await writePost(ada);
      await ada.patch(`/posts/${post.id}`, { title: 'Edited' });
      const draft = await writePost(ada, { published: false });
      await ada.patch(`/posts/${draft.id}`, { published: true });
      await ada.patch(`/posts/${draft.id}`, { published: false });
      const head = await caughtUp(world);

      const heard: FeedEvent[] = [];
      for (let after = start; after < head; after = heard.at(-1)!.seq) {
        const { status, body, headers } = await bob.get<Page>(
          // A UUID may be written in either case.
          `/events?after=${after}&epoch=${epoch.toUpperCase()}&limit=2`,
        );
        expect(status).to.equal(200);
        expect(headers.get('cache-control')).to.equal('no-store');
        expect(body).to.include({ epoch, head });
        expect(body.events.length).to.be.within(1, 2);
        heard.push(...body.events);
      }
      expect(heard.map(({ seq, prev, name }) => [prev - start, seq - start, name])).to.deep.equal([
        [0, 1, 'post:created'],
        [1, 2, 'post:updated'],
        [2, 3, 'post:created'],
        [3, 4, 'post:deleted'],
      ]);
      expect(heard[0]?.data)
        .to.deep.include({ id: post.id, title: '', version: 1, redacted: true })
        .and.not.have.property('voted');
      expect(heard[1]?.data).to.deep.include({ id: post.id, title: 'Edited', version: 2 });
      expect(heard[2]?.data).to.deep.include({ id: draft.id, title: '', content: '', redacted: true });
      expect(heard[3]?.data).to.deep.equal({ id: draft.id, root_id: null });
      for (const { at } of heard) expect(at).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect((await bob.get<Page>(`/events?after=${head}`)).body).to.deep.equal({ epoch, head, events: [] });
    });

    it('says no word that an edit took out in any later answer, nor on a stream', async () => {
      const post = await writePost(ada, { title: 'a misnomer', content: 'unspeakable' });
      await ada.patch(`/posts/${post.id}`, { content: 'indiscreet' });
      await ada.patch(`/posts/${post.id}`, { title: 'a name', content: 'a text' });
      const head = await caughtUp(world);
      const { body } = await bob.get<Page>('/events?after=0&limit=500');
      const told = body.events.filter(({ data }) => postIdOf(data) === post.id);
      expect(told.map(({ name }) => name)).to.deep.equal(['post:created', 'post:updated', 'post:updated']);
      expect(told.at(-1)?.data).to.deep.include({ title: 'a name', content: 'a text', version: 3 });
      const stream = await EventStream.open(bob, '?after=0');
      const streamed = await stream.take(head);
      stream.close();
      const { rows } = await world.pool.query(
        'select data from event_log union all select data from event_outbox',
      );
      for (const all of [body, streamed, rows])
        expect(JSON.stringify(all)).not.to.match(/misnomer|unspeakable|indiscreet/);
    });

    it('says no word of a deleted post in any later answer', async () => {
      const post = await writePost(ada, { title: 'soon-forgotten', content: 'unspeakable' });
      await ada.patch(`/posts/${post.id}`, { content: 'unspeakable too' });
      await ada.delete(`/posts/${post.id}`);
      await caughtUp(world);
      // Asked of the node's memory as well as of the log.
      await until('the node to be up to date', async () => {
        const { status, body } = await bob.get<Page>('/events?after=0&limit=500');
        expect(status, JSON.stringify(body)).to.equal(200);
        return body.events.at(-1)?.name === 'post:deleted';
      });
      const { body } = await bob.get<Page>('/events?after=0&limit=500');
      expect(JSON.stringify(body)).not.to.match(/soon-forgotten|unspeakable/);
      expect(
        body.events.filter(({ data }) => postIdOf(data) === post.id).map(({ name }) => name),
      ).to.deep.equal(['post:created', 'post:updated', 'post:deleted']);
    });

    it('holds the answer back until there is an event, and no longer', async () => {
      const head = await caughtUp(world);
      const answers = Promise.all(
        [1, 2, 3].map(() => bob.get<Page>(`/events?after=${head}&epoch=${epoch}&wait=30`)),
      );
      const answered = { already: false };
      void answers.then(() => (answered.already = true));
      await bob.get('/posts');
      expect(answered.already).to.be.false;
      const post = await writePost(ada);
      for (const { status, body } of await answers) {
        expect(status).to.equal(200);
        expect(body.events.map(({ name, data }) => [name, postIdOf(data)])).to.deep.equal([
          ['post:created', post.id],
        ]);
      }
    });

    it('ends the wait with its session, and hands nothing on to it any more', async () => {
      const head = await caughtUp(world);
      const leaving = await world.user();
      const began = Date.now();
      const answers = [1, 2, 3].map(() => leaving.get<Page>(`/events?after=${head}&wait=30`));
      await until('them to wait', () => world.ctx.connections.countOf(leaving.id) === 3);
      await leaving.post('/logout');
      for (const answer of await Promise.all(answers)) expectProblem(answer, 401, 'unauthorized');
      // Long before the wait was over.
      expect(Date.now() - began).to.be.below(20_000);
      expect(world.ctx.connections.countOf(leaving.id)).to.equal(0);
    });

    it('ends the wait with its token, within a second after that has expired', async () => {
      const head = await caughtUp(world);
      const reader = await world.user();
      // On a busy machine it may have expired before anything waits: then one that lives longer is tried.
      for (const seconds of [3, 9, 18]) {
        const expiresAt = soon(seconds);
        const watch = new Stopwatch();
        let waited = false;
        let answered = false;
        const answer = withEnd(reader, expiresAt)
          .get<Page>(`/events?after=${head}&wait=25`)
          .finally(() => (answered = true));
        await until('it to wait', () => {
          waited ||= world.ctx.connections.countOf(reader.id) === 1;
          return waited || answered;
        });
        const { detail } = expectProblem(await answer, 401, 'unauthorized');
        if (!waited && seconds < 18) continue;
        expect(waited).to.be.true;
        expect(detail).to.contain('expired');
        expect(world.ctx.connections.countOf(reader.id)).to.equal(0);
        // The node is to blame for a second at most; a busy machine for a little more.
        expect(Date.now() - expiresAt).to.be.at.least(0);
        expect(Date.now() - expiresAt - watch.paused).to.be.below(1500);
        break;
      }
    });

    it('answers with no events when the wait is over', async () => {
      const head = await caughtUp(world);
      const { status, body } = await bob.get<Page>(`/events?after=${head}&wait=0.2`);
      expect(status).to.equal(200);
      expect(body).to.deep.equal({ epoch, head, events: [] });
    });

    it('without a position is from now on', async () => {
      await caughtUp(world);
      const answer = bob.get<Page>('/events?wait=30');
      await until('it to wait', () => world.ctx.connections.countOf(bob.id) === 1);
      const post = await writePost(ada);
      expect((await answer).body.events.map(({ data }) => postIdOf(data))).to.deep.equal([post.id]);
    });

    it('is a 410 with the place to start again, and the reason, for a position that cannot be served', async () => {
      const head = await caughtUp(world);
      for (const [query, reason] of [
        [`after=${head + 1}`, 'future'],
        [`after=${Number.MAX_SAFE_INTEGER}`, 'future'],
        [`after=1&epoch=${randomUUID()}`, 'epoch_changed'],
      ] as const) {
        const answer = await bob.get<{ reason: string; epoch: string; head: number }>(`/events?${query}`);
        expectProblem(answer, 410, 'gone');
        expect(answer.body).to.include({ reason, epoch, head });
      }
    });

    it('names its faults', async () => {
      for (const [query, fault] of [
        ['after=-1', 'after'],
        ['after=1.5', 'after'],
        ['after=x', 'after'],
        ['after=1&after=2', 'after'],
        ['epoch=x', 'epoch'],
        ['limit=0', 'limit'],
        ['limit=501', 'limit'],
        ['wait=31', 'wait'],
        ['wait=-1', 'wait'],
        ['wait=x', 'wait'],
        ['since=1', 'since'],
      ] as const)
        expect(faultsOf(await bob.get(`/events?${query}`)), query).to.deep.equal([`query.${fault}`]);
    });
  });

  describe('GET /events/stream', () => {
    const open: EventStream[] = [];
    async function listen(
      user: TestUser,
      query = '',
      headers: Record<string, string> = {},
    ): Promise<EventStream> {
      const stream = await EventStream.open(user, query, headers);
      open.push(stream);
      return stream;
    }
    afterEach(() => {
      for (const stream of open.splice(0)) stream.close();
    });

    it('tells events as they come, each with its position as the id, and is not compressed', async () => {
      const head = await caughtUp(world);
      const stream = await listen(bob, '', { 'accept-encoding': 'gzip' });
      expect(stream.headers.get('content-type')).to.equal('text/event-stream; charset=utf-8');
      expect(stream.headers.get('content-encoding')).to.equal(null);
      const post = await writePost(ada, { title: 'two\nlines\r\nand more' });
      const heard = await stream.take(1); // deleted before it was told, it would be told without its text
      await ada.delete(`/posts/${post.id}`);
      heard.push(...(await stream.take(1)));
      expect(heard.map(({ id, event }) => [id, event])).to.deep.equal([
        [`${epoch}:${head + 1}`, 'post:created'],
        [`${epoch}:${head + 2}`, 'post:deleted'],
      ]);
      expect(JSON.parse(heard[0]!.data)).to.include({
        id: post.id,
        title: 'two\nlines\r\nand more',
        prev: head,
      });
      expect(JSON.parse(heard[1]!.data)).to.deep.equal({ id: post.id, root_id: null, prev: head + 1 });
    });

    it('resumes after the last event that was seen', async () => {
      const post = await writePost(ada);
      await ada.patch(`/posts/${post.id}`, { title: 'Edited' });
      const head = await caughtUp(world);
      for (const id of [`${epoch}:${head - 2}`, String(head - 2)]) {
        const stream = await listen(bob, '?after=0', { 'last-event-id': id });
        const heard = await stream.take(2);
        expect(heard.map((event) => event.id)).to.deep.equal([`${epoch}:${head - 1}`, `${epoch}:${head}`]);
        const prevs = heard.map(({ data }) => (JSON.parse(data) as { prev: number }).prev);
        expect(prevs).to.deep.equal([head - 2, head - 1]);
      }
      const stream = await listen(bob, `?after=${head - 1}&epoch=${epoch}`);
      expect((await stream.take(1))[0]?.id).to.equal(`${epoch}:${head}`);
    });

    it('tells a position that cannot be served as a reset, and continues from there', async () => {
      const head = await caughtUp(world);
      for (const [id, reason] of [
        [`${epoch}:${head + 5}`, 'future'],
        [`${randomUUID()}:${head}`, 'epoch_changed'],
      ] as const) {
        const stream = await listen(bob, '', { 'last-event-id': id });
        const [reset] = await stream.take(1);
        expect(reset).to.include({ event: 'reset', id: `${epoch}:${head}` });
        expect(JSON.parse(reset!.data)).to.deep.equal({ epoch, seq: head, reason });
      }
      const stream = await listen(bob, '', { 'last-event-id': `${epoch}:${head + 5}` });
      await stream.take(1);
      const post = await writePost(ada);
      const [created] = await stream.take(1);
      expect(created).to.include({ event: 'post:created', id: `${epoch}:${head + 1}` });
      expect(JSON.parse(created!.data)).to.include({ id: post.id });
    });

    it('ends with its session', async () => {
      const leaving = await world.user();
      const streams = await Promise.all([1, 2].map(() => listen(leaving)));
      const stays = await listen(bob);
      await leaving.patch('/users/me', { username: `x${leaving.username}` });
      await leaving.post('/logout');
      for (const stream of streams) {
        const [closed] = await stream.take(1);
        expect(closed?.event).to.equal('session:closed');
        expect(JSON.parse(closed!.data)).to.include({ code: 'revoked' });
        await stream.ended();
      }
      const post = await writePost(ada);
      expect(JSON.parse((await stays.take(1))[0]!.data)).to.include({ id: post.id });
      expectProblem(await leaving.get('/events/stream'), 401);
    });

    it('says that its token ends soon, and ends within a second after it has', async () => {
      const reader = await world.user();
      const opened = async (seconds: number) => {
        const expiresAt = soon(seconds);
        const watch = new Stopwatch();
        return { expiresAt, watch, stream: await EventStream.open(withEnd(reader, expiresAt)) };
      };
      // On a busy machine it may have expired before it is let in.
      const { expiresAt, watch, stream } = await opened(3).catch(() => opened(9));
      open.push(stream);
      const [expiring, closed] = await stream.take(2);
      expect(Date.now() - expiresAt).to.be.at.least(0);
      expect(Date.now() - expiresAt - watch.paused).to.be.below(1500);
      expect(expiring?.event).to.equal('session:expiring');
      expect(JSON.parse(expiring!.data)).to.deep.equal({ expires_at: new Date(expiresAt).toISOString() });
      expect(closed?.event).to.equal('session:closed');
      expect(JSON.parse(closed!.data)).to.include({ code: 'expired' });
      await writePost(ada);
      await stream.ended();
      expect(world.ctx.connections.countOf(reader.id)).to.equal(0);
    });

    it('ends with its user', async () => {
      const leaving = await world.user();
      await caughtUp(world);
      const stream = await listen(leaving);
      await leaving.delete('/users/me', { password: PASSWORD });
      expect((await stream.take(1))[0]?.event).to.equal('session:closed');
      await stream.ended();
    });

    it('answers HEAD with what it would be, and lets go', async () => {
      // Over one connection: what is not ended would hold up the next request on it.
      const answers = await rawBytes(
        world.url,
        `HEAD /events/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${bob.token}\r\n\r\n` +
          `GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
      );
      expect(answers).to.match(/^HTTP\/1\.1 200 OK\r\n[^]*content-type: text\/event-stream/i);
      expect(answers).to.match(/HTTP\/1\.1 200 OK\r\n[^]*HTTP\/1\.1 200 OK\r\n[^]*"ok"/);
      await until('no connection to be left', () => world.ctx.connections.countOf(bob.id) === 0);
    });

    it('names its faults', async () => {
      expect(faultsOf(await bob.get('/events/stream?after=x'))).to.deep.equal(['query.after']);
      expect(faultsOf(await bob.get('/events/stream', { 'last-event-id': 'x' }))).to.deep.equal([
        'header.last-event-id',
      ]);
      expect(faultsOf(await bob.get('/events/stream?limit=1'))).to.deep.equal(['query.limit']);
    });

    it('leaves nothing behind when its reader goes', async () => {
      const reader = await world.user();
      const streams = await Promise.all(Array.from({ length: 5 }, () => listen(reader)));
      expect(world.ctx.connections.countOf(reader.id)).to.equal(5);
      for (const stream of streams) stream.close();
      await until('no connection to be left', () => world.ctx.connections.countOf(reader.id) === 0);
    });
  });

  // Last, since it prunes what the others read.
  describe('positions whose events are no longer kept', () => {
    it('are a 410', async () => {
      await Promise.all(Array.from({ length: 5 }, () => writePost(ada)));
      const head = await caughtUp(world);
      await execute(world, 'delete from event_log where seq <= $1', [head - 2]);
      await execute(world, 'update feed_head set floor = $1', [head - 2]);
      await until('the node to know', () => world.ctx.feed.logFloor === head - 2);
      const old = await bob.get<{ reason: string; head: number }>(`/events?after=${head - 3}&epoch=${epoch}`);
      expectProblem(old, 410, 'gone');
      expect(old.body).to.include({ reason: 'too_old', head });
      const kept = await bob.get<Page>(`/events?after=${head - 2}&epoch=${epoch}`);
      expect(kept.body.events.map(({ seq }) => seq)).to.deep.equal([head - 1, head]);
    });
  });
});
