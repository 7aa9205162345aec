import { expect } from 'chai';
import { networkInterfaces } from 'node:os';
import { until } from './support/waiting.ts';
import { expectProblem } from './support/problems.ts';
import { rawBytes, rawRequest } from './support/raw-request.ts';
import { logLines } from './support/log-lines.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const POLLING = '/socket.io/?EIO=4&transport=polling';

describe('the names that a node answers to', () => {
  let world: World;
  const ask = (host: string, path = '/healthz') => rawRequest(world.url, { path, headers: { host } });
  const refusalOf = (host: string) => async () => {
    for (const path of ['/healthz', '/posts', '/', '/nothing', POLLING, '/socket.io/socket.io.js'])
      expectProblem(await ask(host, path), 421, 'misdirected');
    expect(await upgrade(host), host).to.match(/^HTTP\/1\.1 421 Misdirected Request\r\n/);
  };
  const upgrade = (host: string) =>
    rawBytes(
      world.url,
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\n` +
        'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );

  describe('on loopback, with nothing configured', () => {
    let user: TestUser;
    const lines = logLines();
    before(async () => {
      world = await createWorld({}, undefined, lines.read);
      user = await world.user();
    });
    after(() => world.close());

    it('are those of loopback, with any port, in any case, with a dot at the end', async () => {
      for (const host of [
        'localhost',
        'localhost:3000',
        'LOCALHOST:1',
        'localhost.',
        'localhost.:3000',
        'tidings.localhost',
        '127.0.0.1',
        '127.0.0.1:65535',
        '127.8.9.10',
        '[::1]',
        '[::1]:3000',
        '[0:0:0:0:0:0:0:1]:80',
      ]) {
        expect((await ask(host)).status, host).to.equal(200);
        expect((await ask(host, POLLING)).status, host).to.equal(200);
      }
    });

    it('are told in the log once each when one is refused, with what to set', async () => {
      const about = () => lines.all().filter(({ msg }) => msg.includes('PUBLIC_URL or ALLOWED_HOSTS'));
      for (let at = 0; at < 30; at += 1) await ask('once.example');
      await ask('twice.example');
      expect(about().map(({ host }) => host)).to.deep.equal(['once.example', 'twice.example']);
      for (let at = 0; at < 30; at += 1) await ask(`${at}.example`);
      expect(about()).to.have.lengthOf(10);
      const { values } = await world.ctx.metrics.requestsRefused.get();
      expect(values.find(({ labels }) => labels.reason === 'host')?.value).to.be.equal(61);
    });

    for (const host of [
      'evil.example',
      'evil.example:3000',
      'localhost.evil.example',
      'evillocalhost',
      '127.0.0.1.evil.example',
      '192.168.1.5',
      '[2001:db8::1]:3000',
      '0.0.0.0',
    ])
      it(`are not ${host}`, refusalOf(host));

    it('may be left out by HTTP/1.0, as health checks of proxies do', async () => {
      expect(await rawBytes(world.url, 'GET /healthz HTTP/1.0\r\n\r\n')).to.match(/^HTTP\/1\.1 200 /);
    });

    for (const [what, request] of [
      ['two of them', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n'],
      ['another second', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: y\r\nhOST: evil.example\r\n\r\n'],
      ['two for a socket', `GET ${POLLING} HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n`],
      ['none', 'GET /healthz HTTP/1.1\r\n\r\n'],
      ['none for a socket', `GET ${POLLING} HTTP/1.1\r\n\r\n`],
      ['an empty one', 'GET /healthz HTTP/1.1\r\nHost:\r\n\r\n'],
      ['a list', 'GET /healthz HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n'],
      ['an address', 'GET /healthz HTTP/1.1\r\nHost: http://localhost\r\n\r\n'],
      ['a user', 'GET /healthz HTTP/1.1\r\nHost: me@localhost\r\n\r\n'],
      [
        'another than that of the target',
        'GET http://evil.example/posts HTTP/1.1\r\nHost: localhost\r\n\r\n',
      ],
    ] as const)
      it(`are a 400 when there is ${what}`, async () => {
        const answer = await rawBytes(world.url, request);
        expect(answer).to.match(/^HTTP\/1\.1 400 /);
        expect(answer).to.contain('application/problem+json').and.contain('Host header');
      });

    it('are never part of a Link', async () => {
      for (const title of ['one', 'two', 'three']) await user.post('/posts', { title, content: '' });
      const authorization = `Bearer ${user.token}`;
      for (const path of [
        '/posts?limit=1',
        'http://localhost/posts?limit=1',
        '/POSTS/?limit=1&search=a%3Fb',
      ]) {
        const { headers } = await rawRequest(world.url, {
          path,
          headers: {
            host: 'localhost',
            authorization,
            'x-forwarded-host': 'evil.example',
            forwarded: 'host=evil',
          },
        });
        const link = headers.get('link');
        if (!path.includes('search')) expect(link).to.match(/^<\/posts\?limit=1&cursor=[\w-]+>; rel="next"$/);
        expect(String(link)).not.to.contain('evil').and.not.to.contain('//');
      }
    });
  });

  describe('on loopback, with an address of its own', () => {
    before(async () => {
      world = await createWorld({
        PUBLIC_URL: 'https://Feed.Example.org/',
        ALLOWED_HOSTS: 'tidings, .internal.example, 192.0.2.7, 2001:db8::7',
      });
    });
    after(() => world.close());

    it('are that, those of the list and those of loopback', async () => {
      for (const host of [
        'feed.example.org',
        'FEED.example.org:443',
        'feed.example.org.',
        'tidings:3000',
        'a.internal.example',
        'internal.example',
        '192.0.2.7:3000',
        '[2001:db8::7]',
        'localhost',
      ])
        expect((await ask(host)).status, host).to.equal(200);
    });

    for (const host of ['example.org', 'x.feed.example.org', 'notinternal.example', 'tidings.evil.example'])
      it(`are not ${host}`, refusalOf(host));
  });

  describe('on all addresses', () => {
    after(() => world.close());

    it('are all that there are, until a list is given', async () => {
      world = await createWorld({ HOST: '0.0.0.0', PUBLIC_URL: 'https://feed.example.org' });
      expect((await ask('anything.example')).status).to.equal(200);
      await world.close();
      world = await createWorld({ HOST: '0.0.0.0', ALLOWED_HOSTS: 'feed.example.org' });
      expect((await ask('feed.example.org')).status).to.equal(200);
      expect((await ask('127.0.0.1')).status).to.equal(200);
      await refusalOf('anything.example')();
    });

    it('are always the address that a request has come to, as probes ask', async function () {
      const address = Object.values(networkInterfaces())
        .flat()
        .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
      if (address === undefined) this.skip();
      const { port } = new URL(world.url);
      const answer = await rawRequest(`http://${address}:${port}`, { path: '/healthz' });
      expect(answer.status).to.equal(200);
      expect((await ask(address)).status, 'over loopback').to.equal(421);
    });

    it('are any with a star', async () => {
      await world.close();
      world = await createWorld({ ALLOWED_HOSTS: '*' });
      expect((await ask('anything.example')).status).to.equal(200);
    });
  });
});

describe('a proxy that the node was not told of', () => {
  it('is warned of once, whichever header it sets', async () => {
    const lines = logLines();
    const world = await createWorld({}, undefined, lines.read);
    try {
      const about = () => lines.all().filter(({ msg }) => msg.includes('TRUST_PROXY is off'));
      await world.anonymous.get('/healthz');
      expect(about()).to.be.empty;
      for (let at = 0; at < 3; at += 1) {
        await world.anonymous.get('/healthz', { 'x-forwarded-for': '203.0.113.1' });
        await world.anonymous.get(POLLING, { forwarded: 'for=203.0.113.1' });
      }
      await until('the warning', () => about().length > 0);
      expect(about()).to.have.lengthOf(1);
      expect(about()[0]).to.include({ level: 40, header: 'x-forwarded-for' });
      expect(JSON.stringify(about())).not.to.contain('203.0.113.1');
    } finally {
      await world.close();
    }
  });

  it('is not warned of where it was', async () => {
    const lines = logLines();
    const world = await createWorld({ TRUST_PROXY: '1' }, undefined, lines.read);
    try {
      await world.anonymous.get('/healthz', { 'x-forwarded-for': '203.0.113.1' });
      expect(lines.all().filter(({ msg }) => msg.includes('TRUST_PROXY'))).to.be.empty;
    } finally {
      await world.close();
    }
  });
});
