import { expect } from 'chai';
import { gzipSync } from 'node:zlib';
import type { PostAnswer } from '../server/posts/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { rawBytes, rawRequest } from './support/raw-request.ts';
import { numberOf } from './support/tables.ts';
import { type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const json = 'application/json';
const form = 'application/x-www-form-urlencoded';

describe('odd input', () => {
  let world: World;
  let ada: TestUser;
  let postId: number;
  let posts: number;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    postId = (await writePost(ada)).id;
  });
  after(() => world.close());
  beforeEach(async () => {
    posts = await numberOf(world, 'select count(*) from posts');
  });
  afterEach('nothing was written, and the service goes on', async () => {
    expect(await numberOf(world, 'select count(*) from posts')).to.equal(posts);
    expect((await ada.get('/posts?limit=1')).status).to.equal(200);
  });

  /** Any bytes as the body of a request of ada's. */
  const send = (body: Uint8Array | string, headers: Record<string, string> = {}, path = '/posts') =>
    rawRequest(world.url, {
      method: 'POST',
      path,
      body,
      headers: { authorization: `Bearer ${ada.token}`, 'content-type': json, ...headers },
    });
  const asked = (path: string, method = 'GET', headers: Record<string, string> = {}) =>
    rawRequest(world.url, { method, path, headers: { authorization: `Bearer ${ada.token}`, ...headers } });

  describe('text that cannot be kept as it is', () => {
    const odd = { 'a NUL': 'a\0b', 'a lone high surrogate': 'a\ud800b', 'a lone low surrogate': '\udc00' };
    for (const [what, text] of Object.entries(odd)) {
      it(`${what} is refused in every field, and the field named`, async () => {
        expect(faultsOf(await ada.post('/posts', { title: text, content: text }))).to.deep.equal([
          'body.content',
          'body.title',
        ]);
        expect(faultsOf(await ada.patch(`/posts/${postId}`, { title: text }))).to.deep.equal(['body.title']);
        expect(
          faultsOf(
            await world.anonymous.post('/users', {
              email: `${text}@example.org`,
              password: `long ${text} enough`,
              username: `ab${text}`,
            }),
          ),
        ).to.deep.equal(['body.email', 'body.password', 'body.username']);
        expect(faultsOf(await world.anonymous.post('/login', { email: text, password: text }))).to.deep.equal(
          ['body.email', 'body.password'],
        );
        expect(faultsOf(await world.anonymous.post('/refresh', { refresh_token: text }))).to.deep.equal([
          'body.refresh_token',
        ]);
        expect(faultsOf(await ada.delete('/users/me', { password: text }))).to.deep.equal(['body.password']);
        expect(faultsOf(await ada.post('/posts', { title: 'x', content: '', [text]: 1 }))).to.have.length(1);
      });
    }

    it('a NUL in a query or a path is refused', async () => {
      expect(faultsOf(await asked('/posts?search=%00'))).to.deep.equal(['query.search']);
      expect(faultsOf(await asked('/posts/%00'))).to.deep.equal(['path.id']);
      expect(
        faultsOf(await send('username=a%00b&password=x', { 'content-type': form }, '/login')),
      ).to.deep.equal(['body.username']);
    });

    it('bytes that are no UTF-8 are refused, not replaced', async () => {
      const body = Buffer.concat([
        Buffer.from('{"title":"a'),
        Buffer.from([0xff, 0xfe]),
        Buffer.from('","content":""}'),
      ]);
      expect(faultsOf(await send(body))).to.deep.equal(['body']);
      const surrogate = Buffer.from([
        ...Buffer.from('{"title":"'),
        0xed,
        0xa0,
        0x80,
        ...Buffer.from('","content":""}'),
      ]);
      expect(faultsOf(await send(surrogate))).to.deep.equal(['body']);
      expect(
        faultsOf(await send(Buffer.from([0x75, 0xc3, 0x28]), { 'content-type': form }, '/login')),
      ).to.deep.equal(['body']);
    });
  });

  describe('bodies', () => {
    for (const [what, body] of Object.entries({
      'cut off': '{"title":"x","content":',
      'with a trailing comma': '{"title":"x","content":"y",}',
      'in single quotes': "{'title':'x','content':'y'}",
      'of nothing but space': ' ',
      'of two values': '{}{}',
      'of XML': '<title>x</title>',
      'of bytes': '\u0001\u0002',
      'with NaN': '{"title":NaN}',
    })) {
      it(`of broken JSON, ${what}, are refused as such`, async () => {
        const problem = expectProblem(await send(body), 422, 'invalid');
        expect(problem.errors).to.deep.include({
          loc: ['body'],
          msg: 'The body is not valid JSON',
          type: 'json.parse',
        });
      });
    }

    for (const body of ['null', 'true', '5', '"text"', '[]', '[{"title":"x","content":"y"}]', '""'])
      it(`of the JSON value ${body} are refused`, async () => {
        expect(faultsOf(await send(body))).to.deep.equal(['body']);
      });

    it('of JSON inside of a JSON string are not unpacked', async () => {
      expect(
        faultsOf(await send(JSON.stringify(JSON.stringify({ title: 'x', content: 'y' })))),
      ).to.deep.equal(['body']);
    });

    it('are not read with other types than they have', async () => {
      expect(faultsOf(await send('{"title":5,"content":true,"published":"false"}'))).to.deep.equal([
        'body.content',
        'body.published',
        'body.title',
      ]);
      expect(faultsOf(await send('{"title":["x"],"content":{"a":"b"}}'))).to.deep.equal([
        'body.content',
        'body.title',
      ]);
    });

    it('that are missing are told what they should hold, however they are missing', async () => {
      for (const headers of [
        {},
        { 'content-length': '0' },
        { 'content-type': json },
        { 'content-type': json, 'content-length': '0' },
      ] as Record<string, string>[]) {
        const answer = await rawRequest(world.url, {
          method: 'POST',
          path: '/posts',
          headers: { authorization: `Bearer ${ada.token}`, ...headers },
        });
        expect(faultsOf(answer), JSON.stringify(headers)).to.deep.equal(['body.content', 'body.title']);
      }
    });

    it('of another type are refused with what may be sent', async () => {
      for (const type of [
        'text/plain',
        'application/xml',
        'multipart/form-data; boundary=x',
        form,
        'application/jsonp',
        'nonsense',
        '',
      ]) {
        const problem = expectProblem(
          await send('{"title":"x","content":"y"}', { 'content-type': type }),
          415,
        );
        expect(problem.detail).to.contain(json);
      }
      expectProblem(await send('{}', { 'content-type': 'text/plain' }, '/login'), 415);
      expectProblem(await send('{}', { 'content-type': `${json}; charset=latin1` }), 415);
      expectProblem(await send('{}', { 'content-type': `${json}; charset=utf-16` }), 415);
      expectProblem(await send('{}', { 'content-type': `${json}; charset=nonsense` }), 415);
    });

    it('that are compressed are refused', async () => {
      const body = gzipSync(JSON.stringify({ title: 'x', content: 'y' }));
      for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'nonsense'])
        expectProblem(await send(body, { 'content-encoding': encoding }), 415);
    });

    it('of ten megabytes are refused, to everyone and of every kind', async () => {
      const large = JSON.stringify({ title: 'x', content: 'y'.repeat(10_000_000) });
      expectProblem(await send(large), 413, 'too_large');
      expectProblem(
        await send(`username=a&password=${'x'.repeat(10_000_000)}`, { 'content-type': form }, '/login'),
        413,
      );
      expectProblem(
        await send(large, { 'transfer-encoding': 'chunked', 'content-length': [] as never }),
        413,
      );
      expectProblem(
        await rawRequest(world.url, {
          method: 'POST',
          path: '/posts',
          body: large,
          headers: { 'content-type': json },
        }),
        401,
      );
    });

    it('may be as large as their limit, and not one byte larger', async () => {
      const [most, mostOfForm] = [256 * 1024, 16 * 1024];
      // Read whole, and refused for what it says. Space between tokens is part of no value.
      const padded = (bytes: number) => '{"title":"","content":"y"'.padEnd(bytes - 1) + '}';
      expect(faultsOf(await send(padded(most)))).to.deep.equal(['body.title']);
      expectProblem(await send(padded(most + 1)), 413, 'too_large');
      const chunked = { 'transfer-encoding': 'chunked', 'content-length': [] as never };
      expect(faultsOf(await send(padded(most), chunked))).to.deep.equal(['body.title']);
      expectProblem(await send(padded(most + 1), chunked), 413, 'too_large');
      const logIn = (bytes: number) =>
        send('username=a&password='.padEnd(bytes, 'x'), { 'content-type': form }, '/login');
      expect(faultsOf(await logIn(mostOfForm))).to.deep.equal(['body.password']);
      expectProblem(await logIn(mostOfForm + 1), 413, 'too_large');
    });

    it('nested a hundred thousand deep are refused where they do not belong', async () => {
      const depth = 100_000;
      expect(
        faultsOf(await send(`{"title":"x","content":${'['.repeat(depth)}${']'.repeat(depth)}}`)),
      ).to.deep.equal(['body.content']);
      expect(faultsOf(await send('['.repeat(depth) + ']'.repeat(depth)))).to.deep.equal(['body']);
      const objects = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
      expect(faultsOf(await send(objects))).to.include('body.a');
      expectProblem(await send('['.repeat(depth)), 422);
    });

    it('with a thousand unknown fields are refused', async () => {
      const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`field${at}`, at]));
      expect(faultsOf(await ada.post('/posts', { title: 'x', content: 'y', ...many }))).to.have.length(1000);
      expectProblem(
        await send(
          `username=a&password=b&${Array.from({ length: 50 }, (_, at) => `f${at}=1`).join('&')}`,
          { 'content-type': form },
          '/login',
        ),
        413,
      );
    });

    it('cannot reach a prototype', async () => {
      for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])
        for (const value of ['{"published":false,"admin":true}', '1', 'null'])
          expect(faultsOf(await send(`{"title":"x","content":"y","${key}":${value}}`)), key).to.deep.equal([
            `body.${key}`,
          ]);
      expect(faultsOf(await send('{"__proto__":{"title":"x","content":"y"}}'))).to.include('body.__proto__');
      for (const key of ['__proto__', '__proto__[admin]', 'constructor[prototype][admin]']) {
        // The parser of forms drops some of these keys; the rest are unknown fields. None lets anyone in.
        const answer = await send(`username=a&password=b&${key}=1`, { 'content-type': form }, '/login');
        expect(answer.status, key).to.be.oneOf([403, 422]);
      }
      expect(faultsOf(await asked('/posts?__proto__=x'))).to.deep.equal(['query.__proto__']);
      expect(faultsOf(await asked('/posts?constructor=x'))).to.deep.equal(['query.constructor']);
      expect(({} as { admin?: true }).admin).to.equal(undefined);
    });
  });

  describe('queries', () => {
    for (const [query, fault] of [
      ['limit=-1', 'limit'],
      ['limit=0', 'limit'],
      ['limit=101', 'limit'],
      ['limit=1.5', 'limit'],
      ['limit=&limit=', 'limit'],
      ['limit=ten', 'limit'],
      ['limit=1e1', 'limit'],
      ['limit=0x10', 'limit'],
      ['limit=+5', 'limit'],
      ['limit=Infinity', 'limit'],
      ['limit=NaN', 'limit'],
      ['limit=9007199254740993', 'limit'],
      ['limit=1&limit=2', 'limit'],
      ['limit[]=1', 'limit[]'],
      ['skip=-1', 'skip'],
      ['skip=9007199254740992', 'skip'],
      ['sort=old', 'sort'],
      ['sort=new&sort=new', 'sort'],
      ['sort=new%3B+drop+table+posts', 'sort'],
      ['owner_id=0', 'owner_id'],
      ['owner_id=me', 'owner_id'],
      ['owner_id=9223372036854775808', 'owner_id'],
      ['search=a&search=b', 'search'],
      [`search=${'x'.repeat(201)}`, 'search'],
      ['cursor=+', 'cursor'],
      ['cursor=x', 'cursor'],
      ['page=2', 'page'],
      ['LIMIT=5', 'LIMIT'],
    ] as const)
      it(`?${query.slice(0, 40)} is refused, and the field named`, async () => {
        expect(faultsOf(await asked(`/posts?${query}`))).to.deep.equal([`query.${fault}`]);
      });

    it('name all their faults at once', async () => {
      expect(faultsOf(await asked('/posts?limit=-1&skip=-1&sort=x&owner_id=x&nothing=1'))).to.deep.equal([
        'query.limit',
        'query.nothing',
        'query.owner_id',
        'query.skip',
        'query.sort',
      ]);
    });

    it('with a plus, a question mark or a broken escape in the text are searches for text', async () => {
      for (const search of ['a+b', 'what?', '%', '%E0%A4%A', 'a%2Bb', '?', '=']) {
        const answer = await asked(`/posts?search=${search}`);
        expect(answer.status, search).to.equal(200);
      }
    });
  });

  describe('ids in the path', () => {
    for (const id of [
      '0',
      '-1',
      '1.5',
      '1.0',
      '1e0',
      '01',
      '+1',
      '%201',
      '0x1',
      'one',
      'null',
      '1;',
      '1%27',
      '9007199254740992',
      '9223372036854775808',
      '1'.repeat(500),
    ])
      it(`${id.slice(0, 30)} is refused`, async () => {
        for (const path of [`/posts/${id}`, `/users/${id}`])
          expect(faultsOf(await asked(path)), path).to.deep.equal(['path.id']);
        expect(faultsOf(await asked(`/posts/${id}/vote`, 'PUT'))).to.deep.equal(['path.id']);
      });

    it('2^53 - 1 is an id that nothing has', async () => {
      expectProblem(await asked('/posts/9007199254740991'), 404);
      expectProblem(await asked('/users/9007199254740991'), 404);
    });

    it('beyond 2^53 in a body are refused rather than rounded to another’s', async () => {
      expect(faultsOf(await send('{"post_id":9007199254740993,"dir":1}', {}, '/vote'))).to.deep.equal([
        'body.post_id',
      ]);
      expect(faultsOf(await send('{"post_id":1e400,"dir":1}', {}, '/vote'))).to.deep.equal(['body.post_id']);
    });
  });

  describe('paths', () => {
    it('that cannot be decoded are a 400 that says so', async () => {
      for (const path of ['/posts/%', '/posts/%E0%A4%A', '/posts/%zz', '/users/%C0%AF']) {
        const problem = expectProblem(await asked(path), 400, 'malformed');
        expect(problem.detail).to.match(/URL/);
      }
    });

    it('that nothing has are a 404, and never a file', async () => {
      for (const path of [
        '/nothing',
        '/posts/1/votes',
        '/../package.json',
        '/..%2f..%2fpackage.json',
        '/%2e%2e/package.json',
        '/posts//1',
        '//posts',
        '/.env',
        '/*',
        '/posts\\1',
      ])
        expectProblem(await asked(path), 404, 'not_found');
    });

    it('of nothing are a page for a browser that goes there, and the problem for everything else', async () => {
      const accept = 'text/html,application/xhtml+xml,*/*;q=0.8';
      const page = await asked('/nothing', 'GET', { accept });
      expect(page.status).to.equal(404);
      expect(page.headers.get('content-type')).to.match(/^text\/html/);
      expect(page.headers.get('vary')).to.contain('Accept');
      expect(page.body).to.contain('<a href="/">');
      for (const other of ['application/json, text/html;q=0.9', 'text/event-stream', '*/*', 'image/png'])
        expectProblem(await asked('/nothing', 'GET', { accept: other }), 404, 'not_found');
      expectProblem(await asked('/nothing', 'POST', { accept }), 404, 'not_found');
    });

    it('asked with a method that they have not are a 405 that names those they have', async () => {
      for (const [method, path, allow] of [
        ['POST', '/posts/1', 'GET, PUT, PATCH, DELETE'],
        ['DELETE', '/posts', 'GET, POST'],
        ['PUT', '/posts', 'GET, POST'],
        ['PATCH', '/posts', 'GET, POST'],
        ['GET', '/vote', 'POST'],
        ['GET', '/login', 'POST'],
        ['GET', '/users', 'POST'],
        ['PUT', '/users/me', 'GET, PATCH, DELETE'],
        ['POST', '/users/1', 'GET'],
        ['GET', '/posts/1/vote', 'PUT, DELETE'],
        ['POST', '/events', 'GET'],
        ['TRACE', '/posts', 'GET, POST'],
        ['PROPFIND', '/posts', 'GET, POST'],
        ['QUERY', '/posts', 'GET, POST'],
        ['POST', '/healthz', 'GET'],
        ['DELETE', '/', 'GET'],
        ['PUT', '/docs', 'GET'],
      ] as const) {
        const answer = await asked(path, method);
        expectProblem(answer, 405, 'method_not_allowed');
        expect(answer.headers.get('allow'), `${method} ${path}`).to.equal(allow);
      }
    });

    it('answer HEAD like GET, without the body', async () => {
      for (const path of [`/posts/${postId}`, '/posts', '/healthz', '/users/me']) {
        const answer = await asked(path, 'HEAD');
        expect(answer.status, path).to.equal(200);
        expect(answer.body).to.equal('');
      }
    });
  });

  describe('headers', () => {
    it('beyond 16 KiB are a 431', async () => {
      const answer = await rawRequest(world.url, {
        path: '/posts',
        headers: { 'x-large': 'x'.repeat(17 * 1024) },
      });
      expectProblem(answer, 431, 'headers_too_large');
      expect(answer.headers.get('connection')).to.equal('close');
      expect(
        (await rawRequest(world.url, { path: `/posts?search=${'x'.repeat(17 * 1024)}` })).status,
      ).to.equal(431);
      const many = Object.fromEntries(Array.from({ length: 3000 }, (_, at) => [`x-${at}`, 'x']));
      expect((await rawRequest(world.url, { path: '/posts', headers: many })).status).to.equal(431);
    });

    it('of ours in an odd form are refused or passed over, never an error of the inside', async () => {
      for (const headers of [
        { 'if-match': '"'.repeat(501) },
        { 'idempotency-key': 'x y' },
        { 'idempotency-key': ['a', 'b'] },
        { 'x-request-id': 'a b\tc' },
        { 'x-request-id': 'x'.repeat(1000) },
        { accept: 'application/xml' },
        { accept: ';;;' },
        { 'accept-encoding': 'nonsense;q=9' },
        { range: 'bytes=0-1' },
        { expect: '100-continue' },
        { 'content-length': 'x' },
        { authorization: `Bearer ${'x'.repeat(10_000)}` },
      ] as Record<string, string | string[]>[]) {
        const answer = await rawRequest(world.url, {
          method: 'PATCH',
          path: `/posts/${postId}`,
          headers: { authorization: `Bearer ${ada.token}`, 'content-type': json, ...headers },
          body: '{"title":"Hello"}',
        });
        expect(answer.status, JSON.stringify(headers).slice(0, 60)).to.be.oneOf([200, 400, 401, 412, 422]);
      }
    });
  });

  it('that is no HTTP is answered with a 4xx, and the connection closed', async () => {
    for (const bytes of [
      'nonsense\r\n\r\n',
      'GET /posts HTTP/9.9\r\n\r\n',
      'NONSENSE /posts HTTP/1.1\r\nhost: localhost\r\n\r\n',
      'GET /posts HTTP/1.1\r\n\r\n',
      'POST /posts HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST /posts HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n',
      'GET /posts HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    ])
      expectProblem(readAnswer(await rawBytes(world.url, bytes)), 400, 'malformed');
  });

  it('is counted where no route has seen it', async () => {
    const count = async (status: string) => {
      const { values } = await world.ctx.metrics.unreadable.get();
      return values.find(({ labels }) => labels.status === status)?.value ?? 0;
    };
    const before = [await count('400'), await count('431')] as const;
    await rawBytes(world.url, 'nonsense\r\n\r\n');
    await rawRequest(world.url, { path: '/', headers: { 'x-large': 'x'.repeat(17 * 1024) } });
    expect([await count('400'), await count('431')]).to.deep.equal([before[0] + 1, before[1] + 1]);
  });

  it('that follows a request that is being answered does not garble its answer', async () => {
    const answers = await rawBytes(
      world.url,
      'GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nnonsense\r\n\r\n',
    );
    for (const answer of answers.split(/^(?=HTTP)/m).map(readAnswer)) {
      if (answer.status === 200) expect(answer.body).to.deep.equal({ status: 'ok' });
      else expectProblem(answer, 400, 'malformed');
    }
  });

  it('of every kind left the post as it was', async () => {
    const { body } = await ada.get<PostAnswer>(`/posts/${postId}`);
    expect(body).to.include({ title: 'Hello', content: 'world', version: 1, votes: 0 });
    expect((await world.anonymous.post('/login', { email: ada.email, password: PASSWORD })).status).to.equal(
      200,
    );
  });
});

/** One answer as it came over the wire. */
function readAnswer(text: string): Answer {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const headers = new Headers(
    fields.map((field) => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1).trim()]),
  );
  return {
    status: Number(line.split(' ')[1]),
    headers,
    body: body.startsWith('{') ? JSON.parse(body) : body,
  };
}
