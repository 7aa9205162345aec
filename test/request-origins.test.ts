import { expect } from 'chai';
import { io } from 'socket.io-client';
import { logLines } from './support/log-lines.ts';
import { expectProblem } from './support/problems.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { rawRequest } from './support/raw-request.ts';
import { readyOf } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const POLLING = '/socket.io/?EIO=4&transport=polling';
const FORM = 'application/x-www-form-urlencoded';

/** Whether a WebSocket with these headers is let in. */
async function socketOpens(url: string, headers: Record<string, string>): Promise<boolean> {
  const client = new RawClient(url, headers);
  await until('an answer', () => client.closed || client.frames.length > 0);
  const open = !client.closed;
  client.terminate();
  return open;
}

describe('a page of another site', () => {
  let world: World;
  let owner: TestUser;
  before(async () => {
    world = await createWorld({
      RATE_LIMITS: 'on',
      LOGIN_FAILURES: '3',
      CORS_ORIGINS: 'https://app.example',
    });
    owner = await world.user();
  });
  after(() => world.close());

  const send = (path: string, headers: Record<string, string>, body = '', method = 'POST') =>
    rawRequest(world.url, { method, path, headers, body });
  let guesses = 0;
  const guess = () => `username=x${(guesses += 1)}&password=wrong`;
  /** What browsers send along for a page elsewhere: with and without fetch metadata, which plain HTTP does not have. */
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
    { origin: 'null', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
    { origin: 'https://evil.localhost', 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  ];

  it('can neither lock an owner out nor use up anybody’s limits', async () => {
    const form = `username=${encodeURIComponent(owner.email)}&password=wrong`;
    for (const headers of foreign)
      for (const type of [FORM, 'text/plain', 'multipart/form-data; boundary=x', 'application/json', ''])
        for (const path of ['/login', '/users', '/refresh', '/LOGIN/']) {
          const answer = await send(
            path,
            { ...headers, ...(type === '' ? {} : { 'content-type': type }) },
            form,
          );
          expectProblem(answer, 403, 'forbidden');
          expect(answer.headers.get('ratelimit'), 'nothing was counted').to.equal(null);
        }
    const right = await world.anonymous.post('/login', { email: owner.email, password: PASSWORD });
    expect(right.status).to.equal(200);
    expect(right.headers.get('ratelimit')).to.contain('r=58;');
  });

  it('is refused before its token or its body is looked at, whatever the method', async () => {
    for (const [method, path] of [
      ['POST', '/logout'],
      ['POST', '/posts'],
      ['PUT', '/posts/1/vote'],
      ['DELETE', '/users/me'],
      ['PATCH', '/users/me'],
      ['GET', '/posts'],
      ['GET', '/events/stream'],
    ] as const)
      expectProblem(await send(path, { origin: 'https://evil.example' }, '{', method), 403, 'forbidden');
  });

  it('can lead a reader here by a link, but load nothing that is counted', async () => {
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    const picture = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' };
    const path = `/users/${owner.id}`;
    expect((await rawRequest(world.url, { path, headers: link })).status).to.equal(200);
    expectProblem(await rawRequest(world.url, { path, headers: picture }), 403, 'forbidden');
    for (const free of ['/', '/docs', '/openapi.json', '/healthz'])
      expect((await rawRequest(world.url, { path: free, headers: picture })).status, free).to.equal(200);
  });

  it('of the list is let in, and so are our own and what is no browser', async () => {
    for (const headers of [
      {},
      { 'user-agent': 'curl/8' },
      { origin: 'https://app.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' },
      { origin: 'https://APP.example:443', 'sec-fetch-site': 'cross-site' },
      { origin: world.url, 'sec-fetch-site': 'same-origin' },
      { origin: world.url },
      // A form of our own page: helmet's Referrer-Policy takes its origin from it.
      { origin: 'null', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' },
      { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' },
    ] as Record<string, string>[]) {
      const answer = await send('/login', { ...headers, 'content-type': FORM }, guess());
      expectProblem(answer, 403, 'invalid_credentials');
    }
  });
});

describe('origins that may ask', () => {
  const listed = [
    'capacitor://localhost',
    'ionic://localhost',
    'tauri://localhost',
    'app://-',
    'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
    'moz-extension://0b8b8f2e-6d0f-4d0e-9c39-2f6a1c1f7a51',
    'file://',
    'http://localhost:5173',
    'http://[::1]:5173',
    'HTTPS://App.Example:443',
  ];
  let world: World;
  before(async () => {
    world = await createWorld({ CORS_ORIGINS: listed.join(','), PUBLIC_URL: 'https://feed.example/' });
  });
  after(async () => {
    endRawClients();
    await world.close();
  });

  const admitted = async (origin: string) => {
    const { headers, status } = await rawRequest(world.url, { path: '/users/999999', headers: { origin } });
    const polled = await rawRequest(world.url, { path: POLLING, headers: { origin } });
    return {
      rest: status === 404,
      readable: headers.get('access-control-allow-origin') === origin,
      polling: polled.status === 200,
      pollingReadable: polled.headers.get('access-control-allow-origin') === origin,
      socket: await socketOpens(world.url, { Origin: origin }),
    };
  };

  for (const origin of [
    ...listed.slice(0, -1),
    'https://app.example',
    'https://app.example:443',
    'HTTPS://APP.EXAMPLE',
  ])
    it(`are ${origin} when it is listed, in REST, by polling and by WebSocket`, async () => {
      expect(await admitted(origin)).to.deep.equal({
        rest: true,
        readable: true,
        polling: true,
        pollingReadable: true,
        socket: true,
      });
    });

  it('are the service’s own, under its public address, to send; it needs no leave to read', async () => {
    for (const origin of ['https://feed.example', 'https://FEED.example:443'])
      expect(await admitted(origin), origin).to.include({ rest: true, polling: true, socket: true });
  });

  for (const origin of [
    'capacitor://localhost.evil',
    'capacitor://other',
    'tauri://localhost:1',
    'http://feed.example',
    'https://feed.example:8443',
    'https://app.example:80',
    'http://app.example',
    'http://localhost:5174',
    'https://xapp.example',
    'null',
    'nonsense',
    'https://app.example, https://app.example',
    'https://app.example.',
    'https://app.example/path',
    'https://me@app.example',
  ])
    it(`are not ${origin}`, async () => {
      expect(await admitted(origin)).to.deep.equal({
        rest: false,
        readable: false,
        polling: false,
        pollingReadable: false,
        socket: false,
      });
    });
});

describe('the page that a node serves under its own name', () => {
  let world: World;
  const lines = logLines();
  before(async () => {
    world = await createWorld({ ALLOWED_HOSTS: '*', TRUST_PROXY: 'loopback' }, undefined, lines.read);
  });
  after(async () => {
    endRawClients();
    await world.close();
  });

  for (const [origin, host] of [
    ['https://example.org', 'example.org:443'],
    ['https://example.org:443', 'example.org'],
    ['http://example.org', 'example.org:80'],
    ['http://example.org', 'EXAMPLE.ORG'],
    ['http://example.org', 'example.org.'],
    ['http://example.org.', 'Example.org.:80'],
    ['https://example.org:8443', 'example.org:8443'],
    ['http://[::1]:3000', '[0:0:0:0:0:0:0:1]:3000'],
    ['http://[::1]', '[::1]:80'],
    ['http://xn--mller-kva.example', 'xn--MLLER-kva.example'],
    ['wss://example.org', 'example.org:443'],
    ['ws://example.org:80', 'example.org'],
  ] as const)
    it(`may use its sockets and routes: Origin ${origin}, Host ${host}`, async () => {
      expect(await socketOpens(world.url, { Origin: origin, Host: host })).to.be.true;
      const polled = await rawRequest(world.url, { path: POLLING, headers: { origin, host } });
      expect(polled.status).to.equal(200);
      const rest = await rawRequest(world.url, { path: '/users/999999', headers: { origin, host } });
      expect(rest.status).to.equal(404);
    });

  for (const [origin, host] of [
    ['https://example.org', 'example.org:80'],
    ['http://example.org', 'example.org:443'],
    ['http://example.org:3000', 'example.org'],
    ['http://example.org', 'www.example.org'],
    ['capacitor://example.org', 'example.org'],
  ] as const)
    it(`is another one: Origin ${origin}, Host ${host}`, async () => {
      expect(await socketOpens(world.url, { Origin: origin, Host: host })).to.be.false;
    });

  it('is known by X-Forwarded-Host where a proxy rewrites Host and is trusted', async () => {
    const headers = { Origin: 'https://example.org', Host: 'node-a:3000' };
    expect(await socketOpens(world.url, { ...headers, 'X-Forwarded-Host': 'Example.org:443' })).to.be.true;
    expect(await socketOpens(world.url, { ...headers, 'X-Forwarded-Host': 'evil.example' })).to.be.false;
    const distrustful = await createWorld({ ALLOWED_HOSTS: '*' });
    try {
      expect(await socketOpens(distrustful.url, { ...headers, 'X-Forwarded-Host': 'example.org' })).to.be
        .false;
    } finally {
      await distrustful.close();
    }
  });

  it('is known by what the browser says itself, where it does', async () => {
    const headers = { Origin: 'https://example.org', Host: 'rewritten:3000' };
    expect(await socketOpens(world.url, { ...headers, 'Sec-Fetch-Site': 'same-origin' })).to.be.true;
    expect(await socketOpens(world.url, { ...headers, 'Sec-Fetch-Site': 'same-site' })).to.be.false;
  });

  it('is told of in the log once, with both values, when a proxy rewrites Host and says nothing', async () => {
    const refused = async () => {
      const { values } = await world.ctx.metrics.handshakesRefused.get();
      return values.find(({ labels }) => labels.reason === 'origin')?.value ?? 0;
    };
    const before = await refused();
    for (let at = 0; at < 5; at += 1)
      expect(await socketOpens(world.url, { Origin: 'https://rewritten.example', Host: 'upstream' })).to.be
        .false;
    expect(await refused()).to.equal(before + 5);
    const about = lines.all().filter(({ origin }) => origin === 'https://rewritten.example');
    expect(about).to.have.lengthOf(1);
    expect(about[0]).to.include({ level: 40, host: 'upstream' });
    for (const way of ['PUBLIC_URL', 'CORS_ORIGINS', 'Host']) expect(about[0]?.msg).to.contain(way);
    for (let at = 0; at < 30; at += 1)
      await socketOpens(world.url, { Origin: `https://e${at}.example`, Host: 'upstream' });
    expect(lines.all().filter(({ origin }) => origin !== undefined)).to.have.lengthOf(10);
  });
});

describe('any origin', () => {
  it('is let in with a star, by REST and by socket', async () => {
    const world = await createWorld({ CORS_ORIGINS: '*' });
    try {
      const user = await world.user();
      for (const origin of ['https://anything.example', 'null', 'capacitor://x']) {
        const socket = io(world.url, {
          auth: { token: user.token },
          transports: ['polling'],
          forceNew: true,
          extraHeaders: { origin },
        });
        await readyOf(socket);
        socket.disconnect();
        expect(await socketOpens(world.url, { Origin: origin })).to.be.true;
        const { status } = await rawRequest(world.url, { path: '/users/1', headers: { origin } });
        expect(status).to.equal(200);
      }
    } finally {
      endRawClients();
      await world.close();
    }
  });
});
