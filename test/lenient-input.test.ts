import { expect } from 'chai';
import { once } from 'node:events';
import { routes } from '../server/app.ts';
import type { Ready } from '../server/contract.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { rawBytes } from './support/raw-request.ts';
import { type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('an input that says nothing', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    await writePost(ada);
  });
  after(() => world.close());

  /** How a stock client's handshake ends. */
  async function handshake(auth: object): Promise<Ready | { data: { detail: string } }> {
    const socket = world.socket({ token: ada.token, ...auth });
    const [outcome] = (await Promise.race([
      once(socket as never, 'ready'),
      once(socket as never, 'connect_error').catch((error: unknown) => [error]),
    ])) as [Ready | { data: { detail: string } }];
    socket.disconnect();
    return outcome;
  }

  it('is as good as absent in every optional field of a handshake, and a fault by name if it says something wrong', async () => {
    for (const nothing of [null, ''])
      expect(await handshake({ after: nothing, epoch: nothing, tallies: nothing, feed: nothing })).to.include(
        { outcome: 'current' },
      );
    for (const auth of [{ after: 'x' }, { epoch: 5 }, { tallies: 'some' }, { feed: [] }, { unknown: null }]) {
      const { data } = (await handshake(auth)) as { data: { detail: string } };
      expect(data.detail).to.include(`"${Object.keys(auth)[0]}"`);
    }
  });

  it('is as good as absent in every optional field of a query', async () => {
    for (const query of [
      '/posts?limit=&skip=&search=&sort=&owner_id=&published=&cursor=',
      '/events?after=&epoch=&limit=&wait=',
    ])
      expect((await ada.get(query)).status, query).to.equal(200);
    expect(faultsOf(await ada.get('/posts?limt='))).to.deep.equal(['query.limt']);
  });

  it('is told to come once where it comes twice: in a query, a form, a header', async () => {
    const said = (answer: Answer) => expectProblem(answer, 422, 'invalid').errors?.map(({ msg }) => msg);
    const twice = (name: string) => `"${name}" was given more than once`;
    for (const { method, path, query } of routes.filter((route) => route.query))
      for (const [name, { type }] of Object.entries(
        query?.describe().keys as Record<string, { type: string }>,
      )) {
        const answer = await ada.request(
          method.toUpperCase(),
          `${path.replaceAll(/:\w+/g, '1')}?${name}=1&${name}=2`,
        );
        if (type === 'array') expect(name).to.equal('topics');
        else expect(said(answer), path).to.include(twice(name));
      }
    expect(said(await ada.get('/posts?limit=5&limit=6&sort=new&sort=top&skip=x'))).to.deep.equal([
      twice('limit'),
      twice('sort'),
      '"skip" must be a number',
    ]);
    const form = await world.anonymous.post('/login', 'username=a&username=b&password=c', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(said(form)).to.deep.equal([twice('username')]);
    for (const [method, path, name] of [
      ['POST', '/posts', 'Idempotency-Key'],
      ['GET', '/events/stream', 'Last-Event-ID'],
    ] as const) {
      const body = method === 'POST' ? '{"title":"Twice","content":""}' : '';
      const answer = await rawBytes(
        world.url,
        `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ada.token}\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
          `${name}: 1\r\n${name}: 2\r\nConnection: close\r\n\r\n${body}`,
      );
      expect(answer).to.include(' 422 ').and.include(`\\"${name.toLowerCase()}\\" was given more than once`);
    }
  });

  it('is refused as a query parameter that a route does not have, and nothing is done', async () => {
    for (const { method, path, anyQuery } of routes) {
      const address = path.replaceAll(/:\w+/g, '1');
      const answer = await ada.request<object>(method.toUpperCase(), `${address}?colour=red`);
      if (anyQuery) expect(path).to.equal('/login/oidc/callback');
      else expect(faultsOf(answer), `${method} ${path}`).to.include('query.colour');
    }
    expect((await ada.get('/users/me')).status).to.equal(200);
  });

  it('is as good as absent as Last-Event-ID; a wrong one is named', async () => {
    const stream = async (id: string) => {
      const ended = new AbortController();
      const response = await fetch(`${world.url}/events/stream`, {
        headers: { authorization: `Bearer ${ada.token}`, 'last-event-id': id },
        signal: ended.signal,
      });
      if (response.status === 200) ended.abort();
      return response;
    };
    expect((await stream('')).status).to.equal(200);
    const wrong = await stream('x');
    expect(wrong.status).to.equal(422);
    const { detail } = (await wrong.json()) as { detail: string };
    expect(detail).to.include('"last-event-id"').and.not.include('"value"');
  });

  it('is told what it needs in words that name its fields', async () => {
    const password = 'correct horse battery';
    const said = async (method: string, path: string, body: unknown) => {
      const answer = await ada.request<{ detail: string }>(method, path, body);
      expect(answer.status).to.equal(422);
      return answer.body.detail;
    };
    const names = { username: 'ada', email: 'ada@example.org' };
    expect(await said('POST', '/login', { password })).to.include(
      '"body" must have one of the fields [username, email]',
    );
    expect(await said('POST', '/login', { ...names, password })).to.include(
      '"body" must have only one of the fields [username, email]',
    );
    expect(await said('PATCH', '/users/me', {})).to.match(
      /^"body" must have one of the fields \[username, bio/,
    );
    expect(await said('DELETE', '/sessions/x', undefined)).to.equal('"id" must be a UUID.');
    expect(await said('PATCH', '/posts/1', {})).to.equal('"body" must have at least one field.');
    expect(await said('POST', '/login', { ...names, password, grant_type: 'refresh_token' })).to.include(
      '"grant_type" must be password',
    );
    const { body } = await ada.post<{ id: number }>('/posts', { title: 'Mine', content: '' });
    expect(await said('PUT', `/posts/${body.id}/report`, { reason: 'spam', note: '' })).to.include(
      'You cannot report your own post',
    );
    expect(await said('POST', '/posts', [])).to.equal('"body" must be an object.');
    for (const [path, sentence] of [
      ['/posts/01', '"id" must be a whole number in plain digits.'],
      ['/posts/0', '"id" must be at least 1.'],
      ['/posts/9007199254740992', '"id" must be between -9007199254740991 and 9007199254740991.'],
      ['/posts?limit=101', '"limit" must be at most 100.'],
      ['/posts?published=1', '"published" must be true or false.'],
      [`/posts?cursor=${'x'.repeat(201)}`, '"cursor" must have at most 200 characters.'],
    ] as const)
      expect(await said('GET', path, undefined)).to.equal(sentence);
    const key = { name: 'k', password };
    expect(await said('POST', '/users/me/keys', { ...key, scopes: [] })).to.equal(
      '"scopes" must not be empty.',
    );
    expect(await said('POST', '/users/me/keys', { ...key, scopes: ['read', 'read'] })).to.equal(
      '"scopes[1]" is listed twice.',
    );
  });

  it('stays a fault in a JSON body', async () => {
    expect(faultsOf(await ada.post('/posts', { title: 'x', content: '', published: null }))).to.deep.equal([
      'body.published',
    ]);
  });
});

describe('what a request is sent as', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
  });
  after(() => world.close());

  const login = (body: string, type: string) =>
    world.anonymous.post<object>('/login', body, { 'content-type': type });
  const formOf = (more: Record<string, string>) =>
    new URLSearchParams({ username: ada.email, password: PASSWORD, ...more }).toString();
  const FORM = 'application/x-www-form-urlencoded';

  it('may hold what OAuth2 has and we do not know, in a form; JSON is taken at its word', async () => {
    const unknown = {
      resource: 'https://example.org/',
      audience: 'x',
      device: 'phone',
      email: '',
      scope: '',
    };
    expect((await login(formOf(unknown), FORM)).status).to.equal(200);
    expect((await login(`${formOf({})}&resource=a&resource=b`, FORM)).status).to.equal(200);
    expect((await login(formOf({ __proto__: 'x' }), FORM)).status).to.equal(200);
    for (const bad of [
      `${formOf({})}&username=other`,
      formOf({ password: '' }),
      formOf({ grant_type: 'code' }),
    ])
      expectProblem(await login(bad, FORM), 422);
    const json = { email: ada.email, password: PASSWORD, audience: 'x' };
    expect(faultsOf(await world.anonymous.post('/login', json))).to.deep.equal(['body.audience']);
  });

  it('may have a body where none is taken only if that says nothing', async () => {
    const bodies = ['{"dry_run":true}', '[]', '"x"', '{', 'x'.repeat(100_000), 'a=b'];
    for (const route of routes.filter(({ body, anyQuery }) => !body && !anyQuery)) {
      const [method, path] = [route.method.toUpperCase(), route.path.replaceAll(/:\w+/g, '1')];
      if (method === 'GET') continue;
      for (const body of bodies) {
        const answer = await ada.request(method, path, body);
        if (body.length > 1024) expectProblem(answer, 413, 'too_large');
        else expect(faultsOf(answer), `${method} ${path} ${body}`).to.deep.equal(['body']);
      }
    }
    const { id } = await writePost(ada);
    for (const body of ['{}', ' { } \n', 'null'])
      expect((await ada.put(`/posts/${id}/vote`, body, { 'content-type': 'text/plain' })).status).to.equal(
        200,
      );
    const get = (head: string, body: string) =>
      rawBytes(
        world.url,
        `GET /posts/${id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ada.token}\r\n` +
          `Connection: close\r\n${head}\r\n\r\n${body}`,
      );
    expect(await get('Content-Length: 11', '{"limit":1}'))
      .to.include(' 422 ')
      .and.include('"loc":["body"]');
    expect(await get('Transfer-Encoding: chunked', '0\r\n\r\n')).to.include(' 200 ');
    expect(await get('Content-Length: 0', '')).to.include(' 200 ');
  });

  it('may call UTF-8 by any of its names, and by no other', async () => {
    const json = JSON.stringify({ title: 'Größe', content: '' });
    const post = (type: string) => ada.post<PostAnswer>('/posts', json, { 'content-type': type });
    for (const charset of ['utf8', 'UTF8', 'utf-8', '"UTF-8"', '"utf8"', 'UTF-8; x=y', 'x-unicode20utf8']) {
      for (const separator of [';', '; ', ' ; ']) {
        const answer = await post(`Application/JSON${separator}charset=${charset}`);
        expect(answer.status, charset).to.equal(201);
        expect(answer.body.title).to.equal('Größe');
      }
      expect((await login(formOf({}), `${FORM};charset=${charset}`)).status).to.equal(200);
    }
    for (const charset of ['latin1', 'utf-16', 'utf-7', 'utf', 'us-ascii'])
      expectProblem(await post(`application/json; charset=${charset}`), 415, 'unsupported_media_type');
  });

  it('may be a merge patch where a part is changed, and is refused as what it is not', async () => {
    const { id } = await writePost(ada);
    const as = (type: string) =>
      ada.patch<object>(`/posts/${id}`, '{"title":"Patched"}', { 'content-type': type });
    expect((await as('application/merge-patch+json')).status).to.equal(200);
    for (const type of [
      'application/json-patch+json',
      'text/json',
      'text/plain',
      'application/problem+json',
      FORM,
    ])
      expectProblem(await as(type), 415);
    const patch = { 'content-type': 'application/merge-patch+json' };
    expectProblem(await ada.put<object>(`/posts/${id}`, '{"title":"x","content":""}', patch), 415);
    for (const { path } of routes.filter(({ method }) => method === 'patch')) {
      const { status } = await ada.patch<object>(path.replaceAll(/:\w+/g, '1'), '{"unknown":1}', patch);
      expect(status, path).to.equal(422);
    }
  });
});
