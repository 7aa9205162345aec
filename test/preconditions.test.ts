import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { routes } from '../server/app.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { rawRequest } from './support/raw-request.ts';
import { createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('preconditions', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
  });
  after(() => world.close());

  /** A post of Ada's at version 2. */
  async function edited(): Promise<PostAnswer> {
    const { id } = await writePost(ada);
    return (await ada.patch<PostAnswer>(`/posts/${id}`, { title: 'Second' })).body;
  }
  const tagOf = async (path: string, requester = ada) =>
    (await requester.get(path)).headers.get('etag') ?? '';
  const inAnHour = () => new Date(Date.now() + 3_600_000).toUTCString();

  describe('of a write to a post', () => {
    it('keep a newer version from being deleted, replaced or changed', async () => {
      const { id } = await edited();
      const path = `/posts/${id}`;
      const before = await ada.get<PostAnswer>(path);
      const stale: Record<string, string>[] = [
        { 'if-match': '"1"' },
        { 'if-match': '"1", "7"' },
        { 'if-match': '2' },
        { 'if-match': 'x "2"' },
        { 'if-match': '"2' },
        { 'if-match': '"1", "' },
        { 'if-match': '' },
        { 'if-match': '"1"', 'if-unmodified-since': inAnHour() },
        { 'if-unmodified-since': 'Sat, 28 Nov 2020 01:02:03 GMT' },
        { 'if-unmodified-since': 'Saturday, 28-Nov-20 01:02:03 GMT' },
        { 'if-unmodified-since': 'Sat Nov 28 01:02:03 2020' },
        { 'if-none-match': '*' },
        { 'if-none-match': '"9", "2"' },
        { 'if-none-match': `W/${before.headers.get('etag')}` },
        { 'if-match': '"2"', 'if-none-match': '"2"' },
      ];
      for (const headers of stale) {
        const what = JSON.stringify(headers);
        expectProblem(await ada.delete<object>(path, undefined, headers), 412, 'version_mismatch');
        expectProblem(await ada.put<object>(path, { title: 'Lost', content: '' }, headers), 412);
        expectProblem(await ada.patch<object>(path, { title: 'Lost' }, headers), 412);
        expect((await ada.get(path)).body, what).to.deep.equal(before.body);
      }
    });

    it('say what is wrong with them where they cannot be read', async () => {
      const { id } = await edited();
      for (const [name, given, expected] of [
        ['If-Match', '2', 'an ETag with its quotes, or *'],
        ['If-None-Match', '1', 'an ETag with its quotes, or *'],
        ['If-Unmodified-Since', '2030-01-01', 'an HTTP date'],
      ] as const) {
        const answer = await ada.patch<{ detail: string }>(
          `/posts/${id}`,
          { title: 'Lost' },
          { [name]: given },
        );
        expectProblem(answer, 412, 'version_mismatch');
        expect(answer.body.detail).to.equal(`${name} must be ${expected}. Nothing was done.`);
      }
    });

    it('let through what holds', async () => {
      const holding: ((tag: string) => Record<string, string>)[] = [
        () => ({ 'if-match': '"2"' }),
        () => ({ 'if-match': ' , "1" , W/"2" ,' }),
        () => ({ 'if-match': '"a,b", "2"' }),
        () => ({ 'if-match': '*' }),
        (tag) => ({ 'if-match': tag }),
        () => ({ 'if-match': '"2"', 'if-unmodified-since': 'Sat, 28 Nov 2020 01:02:03 GMT' }),
        () => ({ 'if-unmodified-since': inAnHour() }),
        () => ({ 'if-none-match': '"1"' }),
        () => ({ 'if-none-match': '"2,3"' }),
        () => ({ 'if-modified-since': inAnHour() }),
        () => ({ 'if-range': '"1"' }),
      ];
      for (const headers of holding) {
        const { id } = await edited();
        const path = `/posts/${id}`;
        const { status } = await ada.delete(path, undefined, headers(await tagOf(path)));
        expect(status, String(headers)).to.equal(204);
      }
    });

    it('hold for nothing where they cannot be read', async () => {
      const { id } = await edited();
      for (const [name, value] of [
        ['if-none-match', '1'],
        ['if-none-match', 'x "1"'],
        ['if-none-match', ''],
        ['if-unmodified-since', 'tomorrow'],
        ['if-unmodified-since', '2126-11-28T01:02:03Z'],
        ['if-unmodified-since', ''],
      ] as const) {
        const answer = await ada.delete<{ detail: string }>(`/posts/${id}`, undefined, { [name]: value });
        expectProblem(answer, 412, 'version_mismatch');
        expect(answer.body.detail.toLowerCase()).to.include(name);
      }
      const twice = await rawRequest<object>(world.url, {
        method: 'DELETE',
        path: `/posts/${id}`,
        headers: {
          authorization: `Bearer ${ada.token}`,
          'if-unmodified-since': [inAnHour(), 'Sat, 28 Nov 2020 01:02:03 GMT'],
        },
      });
      expectProblem(twice, 412);
      expect((await ada.get(`/posts/${id}`)).status).to.equal(200);
    });

    it('come after what the post is to the requester', async () => {
      const { id } = await edited();
      const bob = await world.user();
      const stale = { 'if-match': '"1"' };
      expectProblem(await ada.delete<object>('/posts/999999', undefined, stale), 404);
      expectProblem(await bob.delete<object>(`/posts/${id}`, undefined, stale), 403);
      expectProblem(await world.anonymous.delete<object>(`/posts/${id}`, undefined, stale), 401);
    });

    it('are held against the row as it is written: of an edit and a deletion of one version one is done', async () => {
      for (let turn = 0; turn < 20; turn += 1) {
        const { id } = await edited();
        const one = { 'if-match': '"2"' };
        const [edit, deletion] = await Promise.all([
          ada.patch(`/posts/${id}`, { title: 'Third' }, one),
          ada.delete(`/posts/${id}`, undefined, one),
        ]);
        const outcome = `${edit.status} ${deletion.status}`;
        expect(outcome).to.be.oneOf(['200 412', '404 204']);
        expect((await ada.get(`/posts/${id}`)).status).to.equal(edit.status);
      }
    });
  });

  describe('of a write to one’s own account', () => {
    it('keep a change that somebody else has made meanwhile', async () => {
      const eve = await world.user();
      const elsewhere = await logIn(world.url, eve);
      const read = await tagOf('/users/me', eve);
      const renamed = await elsewhere.patch(
        '/users/me',
        { username: `${eve.username}-2` },
        { 'if-match': read },
      );
      expect(renamed.status).to.equal(200);
      for (const headers of [
        { 'if-match': read },
        { 'if-match': '"1"' },
        { 'if-none-match': '*' },
        { 'if-unmodified-since': inAnHour() },
        { 'if-unmodified-since': 'yesterday' },
      ] as Record<string, string>[]) {
        expectProblem(await eve.patch<object>('/users/me', { username: 'lost' }, headers), 412);
        expectProblem(await eve.delete<object>('/users/me', { password: PASSWORD }, headers), 412);
      }
      const account = await eve.get<{ username: string }>('/users/me');
      expect(account.body.username).to.equal(`${eve.username}-2`);
      const now = account.headers.get('etag') ?? '';
      expect(now).to.equal(renamed.headers.get('etag'));
      expect((await eve.get('/users/me', { 'if-none-match': `"x", ${now}` })).status).to.equal(304);
      expectProblem(await eve.delete<object>('/users/me', { password: 'wrong' }, { 'if-match': read }), 403);
      expect((await eve.delete('/users/me', { password: PASSWORD }, { 'if-match': now })).status).to.equal(
        204,
      );
    });
  });

  it('are never dropped by a route that has nothing to hold them against', async () => {
    const { id } = await edited();
    const bob = await world.user();
    const bodies: Record<string, unknown> = {
      'post /users': { email: 'new-one@example.org', password: PASSWORD },
      'post /login': { email: bob.email, password: PASSWORD },
      'post /refresh': { refresh_token: bob.refreshToken },
      'post /password/forgot': { email: bob.email },
      'post /password/reset': { token: 'x', password: PASSWORD },
      'post /email/verify': { token: 'x' },
      'post /email/undo': { token: 'x' },
      'post /users/me/totp': { password: PASSWORD },
      'post /users/me/totp/confirm': { code: '123456' },
      'delete /users/me/totp': { password: PASSWORD },
      'post /login/oidc': {},
      'post /login/oidc/finish': { response: 'state=x', secret: 'x' },
      'post /users/me/identities/begin': { password: PASSWORD },
      'post /users/me/identities': { response: 'state=x', secret: 'x' },
      'delete /users/me/identities/:id': { password: PASSWORD },
      'post /users/me/keys': { name: 'Never', scopes: ['read'], password: PASSWORD },
      'post /users/me/webhooks': { url: 'https://hooks.invalid/', password: PASSWORD },
      'post /users/me/webhooks/:id/secret': { password: PASSWORD },
      'patch /users/me/webhooks/:id': { paused: true },
      'post /users/me/webhooks/:id/replay': { after: 0 },
      'post /posts': { title: 'Never', content: '' },
      'post /posts/:id/replies': { content: 'Never' },
      'post /vote': { post_id: id, dir: 1 },
      'put /notifications/read': { up_to: 1 },
      'put /posts/:id/report': { reason: 'spam' },
      'put /users/:id/report': { reason: 'spam' },
      'post /moderation/actions': { action: 'suspend', user_id: 1, reason: 'Never' },
    };
    const tried: string[] = [];
    for (const { method, path, headers } of routes) {
      if (method === 'get' || headers?.['If-Match'] !== undefined) continue;
      const name = `${method} ${path}`;
      tried.push(name);
      for (const condition of ['if-match', 'if-none-match', 'if-unmodified-since']) {
        const answer = await bob.request<object>(
          method.toUpperCase(),
          path.replace(
            ':id',
            /^\/(sessions|users\/me\/(keys|webhooks))/.test(path) ? randomUUID() : String(id),
          ),
          bodies[name],
          {
            [condition]: condition === 'if-unmodified-since' ? inAnHour() : '*',
            ...(name === 'post /posts' ? { 'idempotency-key': 'with-a-condition' } : {}),
          },
        );
        expectProblem(answer, 412, 'version_mismatch');
      }
    }
    expect(tried).to.include.members([...Object.keys(bodies), 'put /posts/:id/vote', 'post /logout']);
    expect((await bob.get<PostAnswer>(`/posts/${id}`)).body).to.include({ votes: 0, voted: false });
    // The key was not spent on the refusal.
    const posted = await bob.post(
      '/posts',
      { title: 'Other', content: '' },
      { 'idempotency-key': 'with-a-condition' },
    );
    expect(posted.status).to.equal(201);
  });

  describe('of a read', () => {
    it('give a 304 to anyone who names the tag, in a list too, and also beside the no-cache that fetch adds', async () => {
      const { id } = await edited();
      const tag = await tagOf(`/posts/${id}`);
      const long = Array.from({ length: 60 }, (_, at) => `"${at}.12345678901234567890"`).join(', ');
      for (const have of [tag, `W/${tag}`, `${long},${tag}`, '*']) {
        expect((await ada.get(`/posts/${id}`, { 'if-none-match': have })).status, have).to.equal(304);
      }
      for (const have of ['"2"', 'garbage', '"', `${tag}x`, `"x${tag}"`]) {
        const headers = { 'if-none-match': have, 'if-modified-since': inAnHour() };
        expect((await ada.get(`/posts/${id}`, headers)).status, have).to.equal(200);
      }
    });

    it('are refused where a tag is asked for that is gone', async () => {
      const { id } = await edited();
      expect((await ada.get(`/posts/${id}`, { 'if-match': '"2"' })).status).to.equal(200);
      expectProblem(await ada.get<object>(`/posts/${id}`, { 'if-match': '"1"' }), 412);
      expectProblem(await ada.get<object>('/users/me', { 'if-match': '"1"' }), 412);
      expectProblem(await ada.get<object>('/posts', { 'if-match': '"1"' }), 412);
      expect((await ada.get('/posts', { 'if-match': '*' })).status).to.equal(200);
    });
  });

  it('hold no tag that outlives what it was given for: of a draft, its owner’s name, a vote, the requester’s own vote', async () => {
    const [eve, bob] = [await world.user(), await world.user()];
    const draft = await writePost(eve, { published: false });
    const post = await writePost(eve);
    const all = new Set<string>();
    const changes = [
      () => eve.patch('/users/me', { username: `${eve.username}-2` }),
      () => bob.put(`/posts/${post.id}/vote`),
      () => eve.put(`/posts/${draft.id}/vote`),
      () => eve.put(`/posts/${post.id}/vote`),
    ];
    for (const change of [undefined, ...changes]) {
      await change?.();
      for (const [requester, { id }] of [
        [eve, draft],
        [eve, post],
        [bob, post],
      ] as const) {
        const { headers, body } = await requester.get<PostAnswer>(`/posts/${id}`);
        all.add(JSON.stringify([headers.get('etag'), body]));
      }
    }
    const tags = [...all].map((pair) => (JSON.parse(pair) as [string, unknown])[0]);
    expect(new Set(tags).size, 'as many tags as representations').to.equal(tags.length);
    expect(tags).to.have.length.greaterThan(7);
  });
});
