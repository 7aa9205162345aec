import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf, withoutRequestId } from './support/problems.ts';
import {
  headOf,
  namesOfEvents,
  numberOf,
  postEventsSince,
  rows,
  tellVotes,
  whileUnnumbered,
} from './support/tables.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

describe('posts', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    bob = await world.user();
  });
  after(() => world.close());

  const read = (user: TestUser, id: number) => user.get<PostAnswer>(`/posts/${id}`);

  describe('writing', () => {
    it('numbers the event in the transaction that writes the post, and the notifications of it', async () => {
      const before = await headOf(world);
      const { body } = await ada.post<PostAnswer>('/posts', {
        title: 'At once',
        content: `for @${bob.username}`,
      });
      const numbered = await rows<{ name: string; together: boolean }>(
        world,
        `select e.name, e.xmin = p.xmin as together from event_log e cross join posts p
         where e.seq > $1 and p.id = $2 order by e.seq`,
        [before, body.id],
      );
      expect(numbered).to.deep.equal([
        { name: 'post:created', together: true },
        { name: 'notification:added', together: true },
        { name: 'notifications:state', together: true },
      ]);
      expect(await numberOf(world, 'select count(*) from event_outbox')).to.equal(0);
    });

    it('waits for nobody who is numbering, and has its number when they have ended', async () => {
      const before = await headOf(world);
      const { body } = await whileUnnumbered(world, async () => {
        const answer = await ada.post<PostAnswer>('/posts', { title: 'Later', content: 'on' });
        expect(answer.status).to.equal(201);
        expect(await numberOf(world, 'select seq from feed_head')).to.equal(before);
        return answer;
      });
      const [told] = await postEventsSince(world, before);
      expect(told).to.deep.include({ seq: before + 1, name: 'post:created', post_id: body.id });
    });

    it('answers with the post, its address and its tag, and leaves exactly one event behind', async () => {
      const before = await headOf(world);
      const answer = await ada.post<PostAnswer>('/posts', { title: 'Hello', content: 'world' });
      expect(answer.status).to.equal(201);
      const { id, created_at, published_at, updated_at, ...rest } = answer.body;
      expect(published_at).to.equal(created_at);
      expect(rest).to.deep.equal({
        title: 'Hello',
        content: 'world',
        published: true,
        version: 1,
        owner_id: ada.id,
        owner: { id: ada.id, username: ada.username },
        parent_id: null,
        root_id: null,
        tags: [],
        mentions: [],
        votes: 0,
        replies: 0,
        rev: 0,
        voted: false,
      });
      expect(created_at)
        .to.equal(updated_at)
        .and.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(answer.headers.get('location')).to.equal(`/posts/${id}`);
      const again = await read(bob, id);
      expect(again.body).to.deep.equal(answer.body);
      expect(again.headers.get('etag')).to.equal(answer.headers.get('etag'));

      const events = await postEventsSince(world, before);
      const { voted: _voted, ...view } = answer.body;
      expect(events.map(({ name, data }) => ({ name, data }))).to.deep.equal([
        { name: 'post:created', data: view },
      ]);
    });

    it('names every fault at once', async () => {
      for (const [body, faults] of [
        [{}, ['body.content', 'body.title']],
        [{ title: '', content: 'x' }, ['body.title']],
        [{ title: ' \n\t', content: 'x' }, ['body.title']],
        [{ title: 'x'.repeat(201), content: 'x'.repeat(10_001) }, ['body.content', 'body.title']],
        [{ title: 1, content: null, published: 'true' }, ['body.content', 'body.published', 'body.title']],
        [{ title: 'x', content: 'y', published: 0 }, ['body.published']],
        [{ title: 'x', content: 'y', published: null }, ['body.published']],
      ] as const)
        expect(faultsOf(await ada.post('/posts', body)), JSON.stringify(body).slice(0, 80)).to.deep.equal(
          faults,
        );
      for (const field of [
        'id',
        'owner_id',
        'ownerId',
        'owner',
        'votes',
        'rev',
        'version',
        'voted',
        'created_at',
      ])
        expect(faultsOf(await ada.post('/posts', { title: 'x', content: 'y', [field]: 1 }))).to.deep.equal([
          `body.${field}`,
        ]);
    });

    it('takes what just fits, and keeps it as it came', async () => {
      const title = `  ${'é'.repeat(196)}  `;
      const content = `\r\n${'"'.repeat(9_998)}`;
      const post = await writePost(ada, { title, content });
      expect((await read(bob, post.id)).body).to.include({ title, content });
      expect((await writePost(ada, { content: '' })).content).to.equal('');
    });
  });

  describe('written at once', () => {
    const text = (title: string) => ({ title, content: 'of many' });

    it('are each their own row, event and answer', async () => {
      const before = await headOf(world);
      const answers = await Promise.all(
        Array.from({ length: 120 }, (_, at) =>
          (at % 2 ? ada : bob).post<PostAnswer>('/posts', {
            ...text(`At once "${at}" \n \u2028 \u0007`),
            published: at % 5 !== 0,
          }),
        ),
      );
      const told = await postEventsSince(world, before);
      const views = answers
        .filter(({ body }) => body.published)
        .map(({ body: { voted: _voted, ...view } }) => view)
        .sort((a, b) => a.id - b.id);
      expect(views).to.have.length(96);
      expect(told.map(({ data }) => data).sort((a, b) => Number(a.id) - Number(b.id))).to.deep.equal(views);
      for (const [at, { status, body }] of answers.entries()) {
        expect(status).to.equal(201);
        expect(body.title).to.equal(`At once "${at}" \n \u2028 \u0007`);
        expect(body.owner.username).to.equal((at % 2 ? ada : bob).username);
        expect((await read(at % 2 ? ada : bob, body.id)).body).to.deep.equal(body);
      }
    });

    it('do not wait for one whose owner is locked', async () => {
      const client = await world.pool.connect();
      try {
        await client.query('begin');
        await client.query('select 1 from users where id = $1 for update', [ada.id]);
        let held = 10;
        const locked = Array.from({ length: 10 }, () =>
          ada.post('/posts', text('Held')).then((answer) => ((held -= 1), answer)),
        );
        const free = Array.from({ length: 10 }, () => bob.post('/posts', text('Free')));
        for (const { status } of await Promise.all(free)) expect(status).to.equal(201);
        expect(held).to.equal(10);
        await client.query('commit');
        for (const { status } of await Promise.all(locked)) expect(status).to.equal(201);
      } finally {
        client.release();
      }
    });

    it('fail alone where the owner is being deleted', async () => {
      const leaver = await world.user();
      const before = await headOf(world);
      const client = await world.pool.connect();
      try {
        await client.query('begin');
        await client.query('delete from users where id = $1', [leaver.id]);
        const gone = Array.from({ length: 5 }, (_, at) =>
          leaver.post('/posts', text('Gone'), at === 0 ? { 'idempotency-key': 'leaver' } : {}),
        );
        const stay = Array.from({ length: 5 }, () => bob.post('/posts', text('Stays')));
        for (const { status } of await Promise.all(stay)) expect(status).to.equal(201);
        await client.query('commit');
        for (const answer of await Promise.all(gone)) expectProblem(answer, 401, 'unauthorized');
      } finally {
        client.release();
      }
      expect(await postEventsSince(world, before)).to.have.length(5);
    });

    it('tell the name that their owner has, also while it changes', async () => {
      const before = await headOf(world);
      const renamer = await world.user();
      const drafts = await Promise.all(
        Array.from({ length: 20 }, () =>
          renamer.post<PostAnswer>('/posts', { ...text('Draft'), published: false }),
        ),
      );
      const renames = (async () => {
        for (let at = 0; at < 12; at += 1)
          await renamer.patch('/users/me', { username: `${renamer.username.slice(0, 20)}.${at}` });
      })();
      for (const { body } of drafts) {
        await Promise.all([
          renamer.patch(`/posts/${body.id}`, { published: true }),
          renamer.post('/posts', text('New')),
          renamer.post('/posts', text('New with a key'), { 'idempotency-key': `renamed-${body.id}` }),
        ]);
      }
      await renames;
      const last = new Map(
        (await postEventsSince(world, before)).map(({ post_id, data }) => [
          post_id,
          data.owner as PostAnswer['owner'],
        ]),
      );
      expect(last.size).to.equal(60);
      expect([...new Set([...last.values()].map(({ username }) => username))]).to.deep.equal([
        `${renamer.username.slice(0, 20)}.11`,
      ]);
    });
  });

  describe('an idempotency key', () => {
    const title = { title: 'Once', content: 'only' };

    it('makes two hundred at once one row, one event and equal answers', async () => {
      const before = await headOf(world);
      const key = { 'idempotency-key': 'two-hundred' };
      // As clients do: one that has waited too long for the database, as on a busy machine, is sent again.
      const write = async (): Promise<Answer<PostAnswer>> => {
        const answer = await ada.post<PostAnswer>('/posts', title, key);
        if (answer.status !== 503) return answer;
        await pause(1000 * Number(answer.headers.get('retry-after')));
        return write();
      };
      const answers = await Promise.all(Array.from({ length: 200 }, write));
      for (const answer of answers) {
        expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
        expect(answer.body).to.deep.equal(answers[0]!.body);
        expect(JSON.stringify(answer.body)).to.equal(JSON.stringify(answers[0]!.body));
        for (const name of ['location', 'etag'])
          expect(answer.headers.get(name)).to.equal(answers[0]!.headers.get(name));
      }
      expect((await postEventsSince(world, before)).map(({ name }) => name)).to.deep.equal(['post:created']);
      expect(
        await numberOf(world, `select count(*) from posts where owner_id = $1 and title = 'Once'`, [ada.id]),
      ).to.equal(1);
    });

    it('is each user’s own, and any visible text', async () => {
      for (const key of [
        '$1',
        ':key',
        '?',
        `'; drop table posts; --`.replaceAll(' ', '_'),
        '\\',
        '"x"',
        'x'.repeat(255),
      ]) {
        const first = await ada.post<PostAnswer>('/posts', title, { 'idempotency-key': key });
        expect(first.status, key).to.equal(201);
        const again = await ada.post<PostAnswer>('/posts', title, { 'idempotency-key': key });
        expect(again.body).to.deep.equal(first.body);
        const other = await bob.post<PostAnswer>('/posts', title, { 'idempotency-key': key });
        expect(other.body.id).not.to.equal(first.body.id);
      }
      for (const key of ['a b', 'é', 'x'.repeat(256)])
        expect(faultsOf(await ada.post('/posts', title, { 'idempotency-key': key }))).to.deep.equal([
          'header.idempotency-key',
        ]);
    });

    it('is refused for another body, but not for the same said otherwise', async () => {
      const key = { 'idempotency-key': 'said-otherwise' };
      const first = await ada.post<PostAnswer>('/posts', title, key);
      const problem = expectProblem(
        await ada.post('/posts', { ...title, title: 'Twice' }, key),
        422,
        'idempotency_mismatch',
      );
      expect(problem.errors?.[0]?.loc).to.deep.equal(['header', 'idempotency-key']);
      expectProblem(
        await ada.post('/posts', { ...title, published: false }, key),
        422,
        'idempotency_mismatch',
      );
      for (const same of [
        '{ "content": "only", "title": "Once" }',
        '{"published":true,"content":"only","title":"Once"}',
      ])
        expect((await ada.post<PostAnswer>('/posts', same, key)).body).to.deep.equal(first.body);
    });

    it('gives the first answer again after an edit, but nothing of a post that is deleted', async () => {
      const key = { 'idempotency-key': 'edited' };
      const { body: first } = await ada.post<PostAnswer>('/posts', title, key);
      await ada.patch(`/posts/${first.id}`, { title: 'Edited' });
      expect((await ada.post<PostAnswer>('/posts', title, key)).body).to.deep.equal(first);
      await ada.delete(`/posts/${first.id}`);
      const before = await headOf(world);
      expectProblem(await ada.post('/posts', title, key), 404);
      expect(await postEventsSince(world, before)).to.be.empty;
      expect(
        await numberOf(
          world,
          'select count(*) from idempotency_keys where post_id = $1 and answer is not null',
          [first.id],
        ),
      ).to.equal(0);
    });

    it('still answers for a post that was withdrawn, since its owner has it still', async () => {
      const key = { 'idempotency-key': 'withdrawn' };
      const { body: first } = await ada.post<PostAnswer>('/posts', title, key);
      await ada.patch(`/posts/${first.id}`, { published: false });
      const again = await ada.post<PostAnswer>('/posts', title, key);
      expect(again.status).to.equal(201);
      expect(again.body.id).to.equal(first.id);
    });
  });

  describe('a draft', () => {
    it('is in a list of its owner: with the published posts, alone, or left out of them', async () => {
      const writer = await world.user();
      const list = async (reader: TestUser, query: string) => {
        const answer = await reader.get<PostAnswer[]>(`/posts?owner_id=${writer.id}${query}`);
        expect(answer.status).to.equal(200);
        return answer.body.map((post) => post.id);
      };
      expect(await list(writer, '&published=false'), 'before there is one').to.deep.equal([]);
      const first = await writePost(writer, { title: 'a swift', published: false });
      const told = await writePost(writer, { title: 'a swift' });
      const second = await writePost(writer, { title: 'a heron', published: false });
      expect(await list(writer, '')).to.deep.equal([second.id, told.id, first.id]);
      expect(await list(writer, '&published=false')).to.deep.equal([second.id, first.id]);
      expect(await list(writer, '&published=true')).to.deep.equal([told.id]);
      expect(await list(writer, '&published=false&search=swift')).to.deep.equal([first.id]);
      expect(await list(writer, '&published=false&limit=1')).to.deep.equal([second.id]);
      await writePost(ada, { published: false });
      for (const query of ['', '&published=true']) expect(await list(ada, query)).to.deep.equal([told.id]);
      expect(await list(ada, '&published=false'), "another's drafts").to.deep.equal([]);
      const mine = await writer.get<PostAnswer[]>('/posts?published=false');
      expect(mine.body.map((post) => post.id)).to.deep.equal([second.id, first.id]);
      for (const fault of ['1', 'False', '+', 'null'])
        expect(faultsOf(await writer.get(`/posts?published=${fault}`)), fault).to.deep.equal([
          'query.published',
        ]);
    });

    it('is written, read, edited and deleted by its owner, and nobody hears of it', async () => {
      const names = await namesOfEvents(world, async () => {
        const draft = await writePost(ada, { published: false });
        expect((await read(ada, draft.id)).body).to.deep.equal(draft);
        expect((await ada.patch(`/posts/${draft.id}`, { title: 'Still a draft' })).status).to.equal(200);
        expect((await ada.put(`/posts/${draft.id}/vote`)).status).to.equal(200);
        const listed = await ada.get<PostAnswer[]>(`/posts?owner_id=${ada.id}&limit=1`);
        expect(listed.body[0]?.id).to.equal(draft.id);
        expect((await ada.delete(`/posts/${draft.id}`)).status).to.equal(204);
      });
      expect(names).to.be.empty;
    });

    it('is to others in every route what a missing post is', async () => {
      const draft = await writePost(ada, { title: 'nobody-hears-of-it', published: false });
      const missing = draft.id + 1_000_000;
      const say = (id: number): Promise<{ status: number; headers: Headers; body: unknown }[]> =>
        Promise.all([
          bob.get<unknown>(`/posts/${id}`),
          bob.put<unknown>(`/posts/${id}`, { title: 'x', content: 'y' }),
          bob.patch<unknown>(`/posts/${id}`, { title: 'x' }),
          bob.patch<unknown>(`/posts/${id}`, { title: 'x' }, { 'if-match': '"1"' }),
          bob.patch<unknown>(`/posts/${id}`, { title: 'x' }, { 'if-match': '"7"' }),
          bob.delete<unknown>(`/posts/${id}`),
          bob.put<unknown>(`/posts/${id}/vote`),
          bob.delete<unknown>(`/posts/${id}/vote`),
          bob.post<unknown>('/vote', { post_id: id, dir: 1 }),
          bob.post<unknown>('/vote', { post_id: id, dir: 0 }),
        ]);
      const hidden = await say(draft.id);
      const absent = await say(missing);
      for (const [at, answer] of hidden.entries()) {
        expectProblem(answer, 404, 'not_found');
        const other = JSON.stringify(withoutRequestId(absent[at]!)).replaceAll(
          String(missing),
          String(draft.id),
        );
        expect(JSON.stringify(withoutRequestId(answer))).to.equal(other);
        expect([...answer.headers.keys()].sort()).to.deep.equal([...absent[at]!.headers.keys()].sort());
      }
      for (const list of [
        '',
        '&sort=top',
        '&sort=hot',
        `&owner_id=${ada.id}`,
        '&search=nobody-hears-of-it',
      ]) {
        const { body } = await bob.get<PostAnswer[]>(`/posts?limit=100${list}`);
        expect(body.map((post) => post.id)).not.to.include(draft.id);
      }
      const { body: mine } = await ada.get<PostAnswer[]>('/posts?search=nobody-hears-of-it');
      expect(mine.map((post) => post.id)).to.deep.equal([draft.id]);
    });

    it('is a new post to the others when it is published, and a deleted one when it is withdrawn', async () => {
      const draft = await writePost(ada, { title: 'Coming', published: false });
      await writePost(bob);
      const before = await headOf(world);
      expect((await ada.patch(`/posts/${draft.id}`, { published: true })).status).to.equal(200);
      expect((await read(bob, draft.id)).status).to.equal(200);
      const { body: list } = await bob.get<PostAnswer[]>('/posts?limit=1');
      expect(list[0]?.id, 'the newest, since it is new to them').to.equal(draft.id);
      await ada.patch(`/posts/${draft.id}`, { title: 'Here' });
      expect((await ada.patch(`/posts/${draft.id}`, { published: false })).status).to.equal(200);
      expectProblem(await read(bob, draft.id), 404);
      expect((await read(ada, draft.id)).body).to.include({ title: 'Here', published: false, version: 4 });
      const events = await postEventsSince(world, before);
      expect(events.map(({ name, post_id }) => [name, post_id])).to.deep.equal([
        ['post:created', draft.id],
        ['post:updated', draft.id],
        ['post:deleted', draft.id],
      ]);
      expect(JSON.stringify(events)).not.to.match(/Coming|Here/);
    });
  });

  describe('editing', () => {
    it('changes what PATCH gives, and with PUT the whole', async () => {
      const post = await writePost(ada, { title: 'One', content: 'two' });
      const patched = await ada.patch<PostAnswer>(`/posts/${post.id}`, { content: 'three' });
      expect(patched.status).to.equal(200);
      expect(patched.body).to.include({ title: 'One', content: 'three', version: 2 });
      expect(Date.parse(patched.body.updated_at)).to.be.at.least(Date.parse(post.updated_at));
      expect(patched.body.created_at).to.equal(post.created_at);
      const put = await ada.put<PostAnswer>(`/posts/${post.id}`, { title: 'Four', content: 'five' });
      expect(put.body).to.include({ title: 'Four', content: 'five', version: 3, published: true });
      expect((await read(bob, post.id)).body).to.deep.equal(put.body);
      expect(faultsOf(await ada.put(`/posts/${post.id}`, { title: 'Four' }))).to.deep.equal(['body.content']);
      expect(faultsOf(await ada.patch(`/posts/${post.id}`, {}))).to.deep.equal(['body']);
      for (const field of ['id', 'owner_id', 'votes', 'rev', 'version', 'created_at', 'voted']) {
        for (const method of ['PUT', 'PATCH'])
          expect(
            faultsOf(
              await ada.request(method, `/posts/${post.id}`, { title: 'x', content: 'y', [field]: 1 }),
            ),
          ).to.deep.equal([`body.${field}`]);
      }
    });

    it('writes nothing and tells nobody when nothing changes', async () => {
      const post = await writePost(ada);
      const names = await namesOfEvents(world, async () => {
        const same = { title: post.title, content: post.content };
        for (const answer of [
          await ada.patch<PostAnswer>(`/posts/${post.id}`, { title: post.title }),
          await ada.put<PostAnswer>(`/posts/${post.id}`, same),
        ]) {
          expect(answer.status).to.equal(200);
          expect(answer.body).to.deep.equal(post);
        }
      });
      expect(names).to.be.empty;
    });

    it('counts twenty edits at once as twenty versions and twenty events, each complete', async () => {
      const post = await writePost(ada);
      const before = await headOf(world);
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          ada.patch<PostAnswer>(`/posts/${post.id}`, { title: `Edit ${at}` }),
        ),
      );
      expect(answers.map(({ body }) => body.version).sort((a, b) => a - b)).to.deep.equal(
        Array.from({ length: 20 }, (_, at) => at + 2),
      );
      const events = await postEventsSince(world, before);
      expect(events.map(({ data }) => data.version)).to.deep.equal(
        Array.from({ length: 20 }, (_, at) => at + 2),
      );
      // What an edit takes out is soon out of the log as well.
      for (const { data } of events.filter((event) => event.data.redacted !== true))
        expect(answers.find(({ body }) => body.version === data.version)?.body.title).to.equal(data.title);
      expect(events.at(-1)?.data.redacted).to.equal(undefined);
    });
  });

  describe('the entity tag', () => {
    it('lets an unchanged post be asked for without being sent again', async () => {
      const post = await writePost(ada);
      const tag = (await read(bob, post.id)).headers.get('etag')!;
      const asked = { 'if-none-match': tag };
      const unchanged = await bob.get<string>(`/posts/${post.id}`, asked);
      expect(unchanged.status).to.equal(304);
      expect(unchanged.body).to.equal('');
      await bob.put(`/posts/${post.id}/vote`);
      const voted = await bob.get<PostAnswer>(`/posts/${post.id}`, asked);
      expect(voted.status).to.equal(200);
      expect(voted.body).to.include({ votes: 1, voted: true });
    });

    it('refuses an edit of a version that is gone, and lets the same edit through at the right one', async () => {
      const post = await writePost(ada);
      const tag = (await read(ada, post.id)).headers.get('etag')!;
      await bob.put(`/posts/${post.id}/vote`);
      await tellVotes(world);
      const first = await ada.patch<PostAnswer>(`/posts/${post.id}`, { title: 'First' }, { 'if-match': tag });
      expect(first.status, 'a vote is no edit').to.equal(200);
      const names = await namesOfEvents(world, async () => {
        for (const stale of [tag, '"1"', 'W/"1"', '"0"', '"x"', 'garbage', '""', `${tag}, "9"`]) {
          for (const answer of [
            await ada.patch(`/posts/${post.id}`, { title: 'Lost' }, { 'if-match': stale }),
            await ada.put(`/posts/${post.id}`, { title: 'Lost', content: '' }, { 'if-match': stale }),
          ])
            expectProblem(answer, 412, 'version_mismatch');
        }
      });
      expect(names).to.be.empty;
      for (const fresh of [first.headers.get('etag')!, `${tag}, "3"`, '*']) {
        const { status, body } = await ada.patch<PostAnswer>(
          `/posts/${post.id}`,
          { content: `at ${fresh}` },
          { 'if-match': fresh },
        );
        expect(status).to.equal(200);
        expect(body.title).to.equal('First');
      }
    });

    it('lets one of ten at once through', async () => {
      const post = await writePost(ada);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, at) =>
          ada.patch(`/posts/${post.id}`, { title: `Edit ${at}` }, { 'if-match': '"1"' }),
        ),
      );
      expect(answers.map((answer) => answer.status).sort()).to.deep.equal([
        200,
        ...Array<number>(9).fill(412),
      ]);
    });
  });

  describe('deleting', () => {
    it('takes the votes and the tally along, tells it once, and leaves no text in the log', async () => {
      const post = await writePost(ada, { title: 'soon-forgotten' });
      await bob.put(`/posts/${post.id}/vote`);
      const before = await headOf(world);
      const statuses = await Promise.all(
        [1, 2, 3].map(async () => (await ada.delete(`/posts/${post.id}`)).status),
      );
      expect(statuses.sort()).to.deep.equal([204, 404, 404]);
      const events = await postEventsSince(world, before);
      expect(events.map(({ name, data }) => [name, data])).to.deep.equal([
        ['post:deleted', { id: post.id, root_id: null }],
      ]);
      for (const table of ['votes', 'post_tallies'])
        expect(await numberOf(world, `select count(*) from ${table} where post_id = $1`, [post.id])).to.equal(
          0,
        );
      const logged = await rows<{ data: string }>(
        world,
        `select data::text as data from event_log where entity_type = 'post' and entity_id = $1`,
        [post.id],
      );
      expect(logged).to.have.length(2);
      for (const { data } of logged)
        expect(data)
          .not.to.match(/soon-forgotten|world/)
          .and.not.to.contain(ada.username);
    });
  });

  describe('searching', () => {
    before(async () => {
      for (const title of [
        '100% sure',
        '100 sure',
        'snake_case',
        'snakeXcase',
        'back\\slash',
        'backslash',
        'ÄPFEL',
      ])
        await writePost(ada, { title, content: 'haystack' });
      await writePost(ada, { title: 'plain', content: 'a NEEDLE in here' });
      await writePost(ada, { title: 'hidden needle', content: '', published: false });
    });

    for (const [search, found] of [
      ['%', ['100% sure']],
      ['0% s', ['100% sure']],
      ['_', ['snake_case']],
      ['e_c', ['snake_case']],
      ['\\', ['back\\slash']],
      ['k\\s', ['back\\slash']],
      ['\\%', []],
      ['%%', []],
      ['needle', ['plain']],
      ['äpfel', ['ÄPFEL']],
      [`' or 1=1 --`, []],
      ['$1', []],
    ] as const) {
      it(`finds ${JSON.stringify(found)} by ${JSON.stringify(search)}`, async () => {
        const { status, body } = await bob.get<PostAnswer[]>(
          `/posts?limit=100&owner_id=${ada.id}&search=${encodeURIComponent(search)}`,
        );
        expect(status).to.equal(200);
        expect(body.map((post) => post.title).sort()).to.deep.equal([...found].sort());
      });
    }

    it('lists everything by what shows nothing, as it does by spaces', async () => {
      const titles = async (search: string) => {
        const { body } = await bob.get<PostAnswer[]>(
          `/posts?limit=100&owner_id=${ada.id}&search=${encodeURIComponent(search)}`,
        );
        return body.map((post) => post.title);
      };
      const all = await titles('');
      expect(all).to.include.members(['plain', 'ÄPFEL']);
      for (const search of [' ', '\u3164', '\u0301', '\ufffc \u200b'])
        expect(await titles(search), JSON.stringify(search)).to.deep.equal(all);
    });
  });

  it('tells in a list the position that the list reflects', async () => {
    await headOf(world);
    const before = await ada.get<PostAnswer[]>('/posts?limit=1');
    const post = await writePost(ada);
    const head = await headOf(world);
    const after = await ada.get<PostAnswer[]>('/posts?limit=1');
    expect(after.body[0]?.id).to.equal(post.id);
    expect(Number(after.headers.get('x-feed-seq'))).to.equal(head);
    expect(Number(before.headers.get('x-feed-seq'))).to.equal(head - 1);
    expect(after.headers.get('x-feed-epoch'))
      .to.equal(before.headers.get('x-feed-epoch'))
      .and.match(/^[0-9a-f-]{36}$/);
    const empty = await ada.get<PostAnswer[]>('/posts?owner_id=999999');
    expect(empty.body).to.deep.equal([]);
    expect(Number(empty.headers.get('x-feed-seq'))).to.equal(head);
  });
});
