import { expect } from 'chai';
import pg from 'pg';
import { io, type Socket } from 'socket.io-client';
import type { Position } from '../server/contract.ts';
import { feedEventNames } from './support/feed-event-names.ts';
import { type TwoVersions, twoVersions, VERSIONS_BEFORE } from './support/two-versions.ts';
import { until } from './support/waiting.ts';
import { Api, logIn, signUp, type TestUser } from './support/world.ts';

interface Told {
  name: string;
  seq: number;
  data: { id: number; root_id?: number | null; parent_id?: number | null; title?: string | null };
}

interface Listed {
  id: number;
  content: string;
  replies: number;
  deleted?: true;
}

const { posts, events } = VERSIONS_BEFORE;

for (const [what, commit] of Object.entries({ posts, events }))
  describe(`threads, relations and tags beside a node that knew ${what} alone`, () => {
    let versions: TwoVersions;
    let pool: pg.Pool;
    let ada: TestUser;
    let bob: TestUser;
    let reader: TestUser;
    const sockets: Socket[] = [];

    before(async function () {
      const both = await twoVersions(commit);
      if (!both) return this.skip();
      versions = both;
      await versions.fresh.start();
      await versions.old.start();
      pool = new pg.Pool({ connectionString: versions.databaseUrl, max: 2 });
      pool.on('error', () => undefined);
      ada = await signUp(versions.fresh.url, 'ada');
      bob = await signUp(versions.fresh.url, 'bob');
      reader = await signUp(versions.fresh.url, 'reader');
    });
    after(async () => {
      for (const socket of sockets) socket.disconnect();
      await pool?.end();
      await versions?.close();
    });
    afterEach(async function () {
      if (this.currentTest?.isPassed() !== true) return;
      await allNumbered();
      expect(await versions.findings()).to.deep.equal([]);
      expect([...versions.old.misconduct, ...versions.fresh.misconduct]).to.deep.equal([]);
    });

    const allNumbered = () =>
      until('everything committed to be numbered', async () => {
        return (await pool.query('select from event_outbox')).rowCount === 0;
      });
    /** The same user at the old node. */
    const atOld = (user: TestUser) => new Api(versions.old.url, user.token);
    const done = async <T>(answer: Promise<{ status: number; body: T }>): Promise<T> => {
      const { status, body } = await answer;
      expect(status, JSON.stringify(body)).to.be.within(200, 204);
      return body;
    };
    const write = (by: Api, content: string, title = 'A post') =>
      done(by.post<{ id: number }>('/posts', { title, content }));
    const reply = (by: Api, id: number, content: string) =>
      done(by.post<{ id: number }>(`/posts/${id}/replies`, { content }));
    const thread = (id: number) => done(reader.get<Listed[]>(`/posts/${id}/replies`));
    const countOf = async (id: number) => (await done(reader.get<Listed>(`/posts/${id}`))).replies;

    /** What a stock client with these topics is told at the new node. */
    const listen = async (topics: string[]): Promise<Told[]> => {
      await allNumbered();
      const [head] = (await pool.query<{ seq: number; epoch: string }>('select seq, epoch from feed_head'))
        .rows;
      const heard: Told[] = [];
      const socket = io(versions.fresh.url, {
        transports: ['websocket'],
        forceNew: true,
        auth: { token: reader.token, topics, after: head?.seq, epoch: head?.epoch },
      });
      sockets.push(socket);
      for (const name of feedEventNames)
        socket.on(name, (data: Told['data'], { seq }: Position) => heard.push({ name, seq, data }));
      await new Promise((resolve) => socket.once('ready', resolve));
      return heard;
    };
    const said = (heard: readonly Told[]) => heard.map(({ name, data }) => `${name} ${data.id}`);
    const textsInLog = async (pattern: string) =>
      (await pool.query<{ seq: number }>('select seq from event_log where data::text ~ $1', [pattern])).rows;

    it('has replies that are edited and voted for there, and only what a reply may be', async () => {
      const post = await write(ada, 'a post');
      const first = await reply(bob, post.id, 'an answer');
      const [inThread, inFeed] = await Promise.all([listen([`thread:${post.id}`]), listen(['feed'])]);
      expect(await done(atOld(bob).patch(`/posts/${first.id}`, { content: 'another' }))).to.include({
        content: 'another',
        title: null,
      });
      for (const change of [{ title: 'A title' }, { published: false }])
        expect((await atOld(bob).patch(`/posts/${first.id}`, change)).status).to.equal(503);
      await done(atOld(ada).put(`/posts/${first.id}/vote`));
      await until('the edit', () => inThread.length > 0);
      expect(inThread[0]?.data).to.include({
        id: first.id,
        parent_id: post.id,
        root_id: post.id,
        title: null,
        content: 'another',
      });
      expect(await thread(post.id)).to.containSubset([
        { id: first.id, content: 'another', title: null, votes: 1, published: true },
      ]);
      await write(ada, 'the next');
      await until('the next post', () => inFeed.length > 0);
      expect(inFeed.map(({ data }) => data)).not.to.containSubset([{ id: first.id }]);
    });

    it('deletes replies there as here, with their counts and their tombstones', async () => {
      const post = await write(ada, 'a post');
      const first = await reply(bob, post.id, 'secret first');
      const second = await reply(ada, first.id, 'secret second');
      const third = await reply(bob, second.id, 'secret third');
      const inThread = await listen([`thread:${post.id}`]);
      const asAll = await listen(['public']);
      await done(atOld(bob).delete(`/posts/${third.id}`));
      expect(await countOf(post.id)).to.equal(2);
      await done(atOld(bob).delete(`/posts/${first.id}`));
      expect(await thread(post.id)).to.containSubset([
        { id: first.id, deleted: true, content: '', owner: null },
        { id: second.id, content: 'secret second' },
      ]);
      expect(await countOf(post.id)).to.equal(1);
      await done(atOld(ada).delete(`/posts/${second.id}`));
      expect(await thread(post.id)).to.deep.equal([]);
      expect(await countOf(post.id)).to.equal(0);
      const expected = [third, first, second].map(({ id }) => `post:deleted ${id}`);
      await until('the deletions', () => inThread.length >= 3 && asAll.length >= 3);
      expect(said(inThread)).to.deep.equal(expected);
      expect(said(asAll)).to.deep.equal(expected);
      expect(inThread.map(({ data }) => data.root_id)).to.deep.equal([post.id, post.id, post.id]);
      await until('their texts to be cut', async () => (await textsInLog('secret')).length === 0);
    });

    it('withdraws and deletes posts there with their threads', async () => {
      const post = await write(ada, 'a post #harbour');
      await reply(bob, post.id, 'secret answer #jetty');
      const topics = [`thread:${post.id}`, 'tag:harbour', `author:${ada.id}`];
      const each = await Promise.all(topics.map((topic) => listen([topic])));
      const ofReply = await listen(['tag:jetty']);
      await done(atOld(ada).patch(`/posts/${post.id}`, { published: false }));
      await until('the withdrawal', () => each.every((heard) => heard.length >= 1));
      await until('the texts to be cut', async () => (await textsInLog('secret')).length === 0);
      expect((await reader.get(`/posts/${post.id}/replies`)).status).to.equal(404);
      // A reply of a thread that nobody sees is told to nobody.
      const [{ id: replyId }] = (await pool.query('select id from posts where root_id = $1', [post.id]))
        .rows as [{ id: number }];
      const edited = await atOld(bob).patch(`/posts/${replyId}`, { content: 'secret edit #jetty' });
      expect(edited.status).to.be.oneOf([200, 404]);
      await done(atOld(ada).patch(`/posts/${post.id}`, { published: true }));
      expect(await thread(post.id)).to.have.lengthOf(1);
      await done(atOld(ada).delete(`/posts/${post.id}`));
      expect((await reader.get(`/posts/${post.id}`)).status).to.equal(404);
      const expected = ['post:deleted', 'post:created', 'post:deleted'].map((name) => `${name} ${post.id}`);
      await until('the deletion', () => each.every((heard) => heard.length >= 3));
      for (const heard of each) expect(said(heard)).to.deep.equal(expected);
      await until('both ends of the thread', () => ofReply.length >= 2);
      expect(said(ofReply)).to.deep.equal([expected[0], expected[2]]);
      expect(await textsInLog('secret')).to.deep.equal([]);
    });

    it('deletes accounts there with all that others have of them', async () => {
      const leaving = await signUp(versions.fresh.url, 'leaving');
      const post = await write(leaving, 'leaving secret #quay');
      const answer = await reply(bob, post.id, 'an answer');
      const other = await write(ada, 'hello @leaving');
      const first = await reply(leaving, other.id, 'leaving secret');
      const second = await reply(bob, first.id, 'below it');
      const alone = await reply(leaving, other.id, 'leaving secret');
      await done(bob.put(`/users/${leaving.id}/follow`));
      await done(leaving.put(`/users/${ada.id}/follow`));
      await done(leaving.put(`/users/${reader.id}/mute`));
      const [inThread, tagged] = await Promise.all([listen([`thread:${other.id}`]), listen(['tag:quay'])]);
      const atOldNode = await logIn(versions.old.url, leaving);
      expect((await atOldNode.delete('/users/me', { password: leaving.password })).status).to.be.oneOf([
        202, 204,
      ]);
      await until(
        'the account to be gone',
        async () => (await pool.query('select from users where id = $1', [leaving.id])).rowCount === 0,
      );
      expect(await thread(other.id)).to.containSubset([
        { id: first.id, deleted: true, owner: null },
        { id: second.id, content: 'below it' },
      ]);
      expect(await thread(other.id)).to.have.lengthOf(2);
      expect(await countOf(other.id)).to.equal(1);
      expect((await reader.get(`/posts/${post.id}`)).status).to.equal(404);
      expect((await reader.get(`/posts/${answer.id}`)).status).to.equal(404);
      await until('the deletions', () => inThread.length >= 3 && tagged.length >= 1);
      expect(said(inThread)).to.have.members([
        `post:deleted ${first.id}`,
        `post:deleted ${alone.id}`,
        `post:updated ${other.id}`,
      ]);
      expect(said(tagged)).to.deep.equal([`post:deleted ${post.id}`]);
      await until(
        'the name to be cut',
        async () => (await textsInLog('"leaving|leaving secret')).length === 0,
      );
      const { rowCount } = await pool.query(
        'select from stream_relations where user_id = $1 or target_id = $1',
        [leaving.id],
      );
      expect(rowCount).to.equal(0);
    });

    it('notifies of what is written there, and no longer of what is deleted there', async () => {
      const user = await signUp(versions.fresh.url, 'notified');
      const notified = async () =>
        (await done(user.get<{ notifications: { kind: string }[] }>('/notifications'))).notifications.map(
          ({ kind }) => kind,
        );
      const own = await write(user, 'a post');
      await done(atOld(bob).put(`/posts/${own.id}/vote`));
      await until('the vote', async () => (await notified()).length === 1);
      const post = await write(atOld(bob), 'hello @notified');
      await until('the mention', async () => (await notified()).length === 2);
      await done(atOld(bob).patch(`/posts/${post.id}`, { content: 'hello' }));
      await until('the edit', async () => (await notified()).length === 1);
      await done(atOld(bob).patch(`/posts/${post.id}`, { content: 'hello again @notified' }));
      await until('the mention of the edit', async () => (await notified()).length === 2);
      await done(atOld(bob).patch(`/posts/${post.id}`, { published: false }));
      expect(await notified()).to.deep.equal(['votes']);
      await done(atOld(bob).patch(`/posts/${post.id}`, { published: true }));
      expect(await notified()).to.deep.equal(['mention', 'votes']);
      await done(atOld(bob).delete(`/posts/${post.id}`));
      await done(atOld(user).delete(`/posts/${own.id}`));
      expect(await notified()).to.deep.equal([]);
    });

    it('casts no vote there between two of whom one blocks the other', async () => {
      const post = await write(ada, 'a post');
      await done(ada.put(`/users/${reader.id}/block`));
      expect((await atOld(reader).put(`/posts/${post.id}/vote`)).status).to.be.oneOf([403, 404]);
      await done(ada.delete(`/users/${reader.id}/block`));
      await done(atOld(reader).put(`/posts/${post.id}/vote`));
    });
  });
