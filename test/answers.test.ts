import { expect } from 'chai';
import express from 'express';
import helmet from 'helmet';
import { createHook } from 'node:async_hooks';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compress } from '../server/http/compress.ts';
import { securityHeaders } from '../server/http/security-headers.ts';
import { writePost } from './support/posts.ts';
import { rawRequest } from './support/raw-request.ts';
import { type Api, createWorld, type TestUser, type World } from './support/world.ts';

/** What any answer may have of its own. */
const OF_THE_ANSWER = ['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'etag', 'vary'];

describe('an answer', () => {
  let world: World;
  let ada: TestUser;
  let as: Record<string, string>;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    as = { authorization: `Bearer ${ada.token}` };
  });
  after(() => world.close());

  it('has every header that helmet itself would set, and with the same value', async () => {
    const app = express().disable('x-powered-by').use(helmet(securityHeaders));
    const server = createServer(app.use((_req, res) => void res.json({}))).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const { headers } = await rawRequest(`http://127.0.0.1:${port}`, { path: '/' });
      const expected = [...headers].filter(([name]) => !OF_THE_ANSWER.includes(name));
      expect(expected.length).to.be.greaterThan(8);
      for (const path of ['/healthz', '/posts', '/nothing', '/openapi.json']) {
        const own = (await rawRequest(world.url, { path, headers: as })).headers;
        for (const [name, value] of expected) expect(own.get(name), `${path} ${name}`).to.equal(value);
      }
    } finally {
      server.close();
    }
  });

  /** How many compressors this process, the node in it included, makes for requests that are made at once. */
  async function compressorsMade(requests: (() => Promise<unknown>)[]): Promise<number> {
    let made = 0;
    const hook = createHook({ init: (_id, type) => void (made += type === 'ZLIB' ? 1 : 0) }).enable();
    try {
      await Promise.all(requests.map((request) => request()));
    } finally {
      hook.disable();
    }
    return made;
  }

  /** `fetch` unfolds what it is given, but cannot leave the header out. */
  const taking = (encodings: string | undefined, path: string) =>
    encodings === undefined
      ? rawRequest(world.url, { path, headers: as })
      : ada.get<unknown>(path, { 'accept-encoding': encodings });

  it('tells caches that it depends on the encodings that are taken, whether or not some were named', async () => {
    for (const path of ['/posts', '/healthz', '/openapi.json'])
      for (const encodings of [undefined, 'gzip', 'identity'])
        expect((await taking(encodings, path)).headers.get('vary'), path).to.match(/\baccept-encoding\b/i);
  });

  it('is compressed for those who take that, from a length on, and for nobody else', async () => {
    for (let n = 0; n < 4; n += 1) await writePost(ada, { content: 'The same again. '.repeat(40) });
    const plain = await taking(undefined, '/posts');
    for (const [encodings, encoding] of [
      [undefined, null],
      ['identity', null],
      ['gzip', 'gzip'],
      ['br, gzip', 'br'],
    ] as const) {
      const answer = await taking(encodings, '/posts');
      expect(answer.headers.get('content-encoding'), encodings).to.equal(encoding);
      expect(answer.body, encodings).to.deep.equal(plain.body);
      expect((await taking(encodings, '/healthz')).headers.get('content-encoding'), 'short').to.equal(null);
    }
  });

  it('is not compressed where a draft of the reader stands among the posts of others', async () => {
    const bob = await world.user();
    for (let n = 0; n < 4; n += 1) await writePost(ada, { content: 'The same again. '.repeat(40) });
    const draft = await writePost(bob, { published: false, content: 'Not for others. '.repeat(40) });
    const list = async (query = '') => {
      const answer = await bob.get<{ id: number }[]>(`/posts${query}`, { 'accept-encoding': 'gzip' });
      const ids = answer.body.map(({ id }) => id);
      return { encoding: answer.headers.get('content-encoding'), hasDraft: ids.includes(draft.id) };
    };
    expect(await list()).to.deep.equal({ encoding: null, hasDraft: true });
    expect(await list('?published=true')).to.deep.equal({ encoding: 'gzip', hasDraft: false });
    await bob.patch(`/posts/${draft.id}`, { published: true });
    expect(await list()).to.deep.equal({ encoding: 'gzip', hasDraft: true });
  });

  it('is the same where the router finds the route, which takes a slash behind it too', async () => {
    const differing = ['date', 'ratelimit', 'x-request-id'];
    const answerAt = async (path: string, api: Api = ada) => {
      const { status, headers } = await api.get<unknown>(path);
      return {
        status,
        headers: [...headers].map(([name, value]) => (differing.includes(name) ? name : value)),
      };
    };
    for (const [direct, routed] of [
      ['/posts?limit=1', '/posts/?limit=1'],
      ['/posts?limit=0', '/posts/?limit=0'],
      ['/users/me', '/Users/me'],
      ['/events?after=0', '/events/?after=0'],
    ] as const)
      expect(await answerAt(direct), direct).to.deep.equal(await answerAt(routed));
    expect(await answerAt('/posts', world.anonymous)).to.deep.equal(
      await answerAt('/posts/', world.anonymous),
    );
  });

  it('of the API is kept by no cache, refusals too, unless it says itself that it may be asked for again', async () => {
    const { id } = await writePost(ada);
    const directives = async (method: string, path: string, body?: unknown, api: Api = ada) =>
      (await api.request<unknown>(method, path, body)).headers.get('cache-control');
    for (const [method, path, body] of [
      ['GET', `/users/${ada.id}`],
      ['PUT', `/posts/${id}/vote`],
      ['PATCH', `/posts/${id}`, { title: 'Another' }],
      ['GET', '/posts/999999'],
      ['POST', '/posts', { title: '' }],
      ['POST', '/users', {}],
    ] as const)
      expect(await directives(method, path, body), `${method} ${path}`).to.equal('private, no-store');
    expect(await directives('GET', '/posts', undefined, world.anonymous)).to.equal('private, no-store');
    for (const path of ['/posts', `/posts/${id}`, '/users/me'])
      expect(await directives('GET', path)).to.equal('private, no-cache');
  });

  it('is compressed once where it is the same for all, and then has a length', async () => {
    const path = '/documents/redoc.js';
    const plain = await taking(undefined, path);
    const asked = ['br, gzip', 'gzip', 'gzip;q=1, br;q=0'];
    const compressed = (encodings: string) =>
      rawRequest(world.url, { path, headers: { 'accept-encoding': encodings } });
    expect(
      await compressorsMade(asked.map((own) => () => compressed(own))),
      'for gzip: as Brotli it is kept',
    ).to.equal(1);
    const many = Array.from({ length: 20 }, (_, n) => () => compressed(n % 2 === 0 ? 'br' : 'gzip'));
    expect(await compressorsMade(many)).to.equal(0);
    const answers = await Promise.all(asked.map((own) => taking(own, path)));
    expect(answers.map(({ headers }) => headers.get('content-encoding'))).to.deep.equal([
      'br',
      'gzip',
      'gzip',
    ]);
    for (const { body, headers } of answers) {
      expect(body === plain.body).to.be.true;
      expect(headers.get('etag')).to.equal(plain.headers.get('etag'));
      expect(Number(headers.get('content-length'))).to.be.within(1, String(plain.body).length / 2);
    }
    const etag = plain.headers.get('etag') ?? '';
    const again = await rawRequest(world.url, {
      path,
      headers: { 'accept-encoding': 'gzip', 'if-none-match': etag },
    });
    expect(again.status).to.equal(304);
    const head = await rawRequest(world.url, {
      method: 'HEAD',
      path,
      headers: { 'accept-encoding': 'gzip' },
    });
    expect(head.headers.get('content-length')).to.equal(answers[1]?.headers.get('content-length'));
  });

  it('tells its length in bytes, also of a text that has fewer characters, and to HEAD', async () => {
    const { id } = await writePost(ada, { title: 'Größe: 日本 🎈', content: 'ﷺ' });
    const path = `/posts/${id}`;
    const whole = await rawRequest(world.url, { path, headers: as });
    const length = Number(whole.headers.get('content-length'));
    expect(length).to.equal(Buffer.byteLength(JSON.stringify(whole.body)));
    expect(whole.headers.get('content-type')).to.equal('application/json; charset=utf-8');
    expect(whole.headers.get('transfer-encoding')).to.equal(null);
    const head = await rawRequest(world.url, { method: 'HEAD', path, headers: as });
    expect(head.status).to.equal(200);
    expect(head.body).to.equal('');
    expect(Number(head.headers.get('content-length'))).to.equal(length);
    expect(head.headers.get('etag')).to.equal(whole.headers.get('etag'));
  });

  it('is a 304 without a body for those who have it', async () => {
    const { id } = await writePost(ada);
    const path = `/posts/${id}`;
    const tag = (await ada.get(path)).headers.get('etag') ?? '';
    for (const have of [tag, `"other", ${tag}`, '*']) {
      const answer = await rawRequest(world.url, { path, headers: { ...as, 'if-none-match': have } });
      expect(answer.status, have).to.equal(304);
      expect(answer.body).to.equal('');
    }
    const { status } = await rawRequest(world.url, { path, headers: { ...as, 'if-none-match': '"other"' } });
    expect(status).to.equal(200);
  });

  it('is compressed a few at a time if it is large, and leaves as it is beyond that', async () => {
    const length = 100 * 1024;
    const begun: express.Response[] = [];
    const app = express().use(compress());
    app.get('/', (_req, res) => {
      res.setHeader('Content-Type', 'application/json');
      res.setHeader('Content-Length', length);
      res.write(' ');
      (res as express.Response & { flush: () => void }).flush();
      begun.push(res);
    });
    const server = createServer(app).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const ask = () => fetch(`http://127.0.0.1:${port}`, { headers: { 'accept-encoding': 'gzip' } });
    const encodingOf = ({ headers }: globalThis.Response) => headers.get('content-encoding');
    try {
      const answers = [await ask(), await ask(), await ask()];
      // One, or two where there are four cores.
      expect(encodingOf(answers[0]!)).to.equal('gzip');
      expect(encodingOf(answers[2]!)).to.equal(null);
      expect(answers[2]!.headers.get('vary')).to.match(/\baccept-encoding\b/i);
      for (const res of begun) res.end(' '.repeat(length - 1));
      for (const answer of answers) expect(await answer.text()).to.have.lengthOf(length);
      expect(encodingOf(await ask()), 'when these are over').to.equal('gzip');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
