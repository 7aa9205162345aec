import { expect } from 'chai';
import { io } from 'socket.io-client';
import { logLines } from './support/log-lines.ts';
import { expectProblem } from './support/problems.ts';
import { rawBytes, rawRequest } from './support/raw-request.ts';
import { readyOf } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const LISTED = 'https://app.example';
const POLLING = '/socket.io/?EIO=4&transport=polling';

describe('the requests of a socket’s session', () => {
  let world: World;
  let alice: TestUser;
  const lines = logLines();
  before(async () => {
    world = await createWorld({ CORS_ORIGINS: LISTED }, undefined, lines.read);
    alice = await world.user('alice');
  });
  after(() => world.close());

  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET', body?: string) =>
    rawRequest<string>(world.url, { method, path, headers, ...(body === undefined ? {} : { body }) });
  const open = async (headers: Record<string, string> = {}) => {
    const { status, body } = await ask(POLLING, headers);
    expect(status).to.equal(200);
    return (JSON.parse(body.slice(1)) as { sid: string }).sid;
  };
  /** The first line of the answer to an upgrade. */
  const upgrade = async (path: string, headers = '') => {
    const answer = await rawBytes(
      world.url,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${headers}\r\n`,
    );
    return answer;
  };

  for (const foreign of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
    { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate' },
  ] as Record<string, string>[])
    it(`may none of them come from elsewhere: ${JSON.stringify(foreign)}`, async () => {
      expectProblem(await ask(POLLING, foreign), 403, 'forbidden');
      const sid = await open({ origin: LISTED });
      const session = `${POLLING}&sid=${sid}`;
      expectProblem(await ask(session, foreign), 403, 'forbidden');
      expectProblem(await ask(session, foreign, 'POST', '40{}'), 403, 'forbidden');
      const header = Object.entries(foreign)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
      for (const path of [
        `/socket.io/?EIO=4&transport=websocket&sid=${sid}`,
        '/socket.io/?EIO=4&transport=websocket',
      ])
        expect(await upgrade(path, header))
          .to.match(/^HTTP\/1\.1 403 /)
          .and.contain('problem:forbidden');
      // Its own page continues with it.
      expect(
        (await ask(session, { origin: LISTED }, 'POST', `40${JSON.stringify({ token: alice.token })}`))
          .status,
      ).to.equal(200);
      expect((await ask(session, { origin: LISTED })).body).to.match(/^40\{"sid"/);
    });

  for (const [what, query] of [
    ['JSONP', 'EIO=4&transport=polling&j=0'],
    ['JSONP without a number', 'EIO=4&transport=polling&j'],
    ['two session ids', 'EIO=4&transport=polling&sid=a&sid=b'],
    ['two transports', 'EIO=4&transport=polling&transport=websocket'],
    ['two protocols', 'EIO=4&EIO=3&transport=polling'],
  ] as const)
    it(`may not have ${what}`, async () => {
      expectProblem(await ask(`/socket.io/?${query}`), 400, 'malformed');
      const sid = await open();
      expectProblem(await ask(`/socket.io/?${query}&sid=${sid}`), 400, 'malformed');
      expect(await upgrade(`/socket.io/?${query}`))
        .to.match(/^HTTP\/1\.1 400 /)
        .and.contain('problem:malformed');
    });

  it('may not have a body in a GET', async () => {
    for (const path of [POLLING, `${POLLING}&sid=${await open()}`]) {
      expectProblem(await ask(path, {}, 'GET', 'x'), 400, 'malformed');
      expectProblem(await ask(path, { 'transfer-encoding': 'chunked' }, 'GET'), 400, 'malformed');
    }
  });

  for (const query of [
    'EIO=3&transport=polling',
    'EIO=2&transport=polling',
    'transport=polling',
    'EIO=&transport=polling',
    'EIO=3&transport=websocket',
    'EIO=5&transport=polling',
  ])
    it(`must be of version 4: ${query}`, async () => {
      const refused = async () => {
        const { values } = await world.ctx.metrics.handshakesRefused.get();
        return values.find(({ labels }) => labels.reason === 'protocol')?.value ?? 0;
      };
      const before = await refused();
      const problem = expectProblem(
        await ask(`/socket.io/?${query}`, { 'user-agent': 'node-XMLHttpRequest' }),
        400,
        'malformed',
      );
      expect(problem.detail).to.contain('Socket.IO client of version 3 or later');
      expect(await upgrade(`/socket.io/?${query}`))
        .to.match(/^HTTP\/1\.1 400 /)
        .and.contain('Socket.IO client of version 3 or later');
      expect(await refused()).to.equal(before + 2);
      const about = lines.all().filter(({ msg }) => msg.includes('Socket.IO client of version 2'));
      expect(about).to.have.lengthOf(1);
      expect(about[0]).to.include({ level: 40, user_agent: 'node-XMLHttpRequest' });
    });

  it('may say b64, as stock clients do', async () => {
    const socket = io(world.url, {
      auth: { token: alice.token },
      transports: ['polling'],
      query: { b64: '1' },
      forceNew: true,
    });
    await readyOf(socket);
    socket.disconnect();
  });

  it('are answered with what keeps other pages from loading them', async () => {
    const sid = await open();
    for (const answer of [
      await ask(POLLING),
      await ask(`${POLLING}&sid=${sid}`, {}, 'POST', '40{}'),
      await ask(`${POLLING}&sid=none`),
      await ask('/socket.io/?EIO=4&transport=none'),
      await ask('/socket.io/'),
      await ask(POLLING, {}, 'DELETE'),
      await ask(POLLING, { origin: LISTED, 'access-control-request-method': 'POST' }, 'OPTIONS'),
      await ask(POLLING, { origin: 'https://evil.example' }),
      await ask('/socket.io/nothing.js'),
    ]) {
      expect(answer.headers.get('x-content-type-options'), String(answer.status)).to.equal('nosniff');
      expect(answer.headers.get('cross-origin-resource-policy'), String(answer.status)).to.equal(
        'same-origin',
      );
    }
    const script = await ask('/socket.io/socket.io.js', {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'no-cors',
    });
    expect(script.status, 'a page elsewhere may load the client').to.equal(200);
    expect(script.headers.get('x-content-type-options')).to.equal('nosniff');
    expect(script.headers.get('cross-origin-resource-policy')).to.equal('cross-origin');
  });

  it('are refused with a 503 for a new session while the node drains, by polling and by WebSocket; old ones continue', async () => {
    const sid = await open();
    const said = await ask(
      `${POLLING}&sid=${sid}`,
      {},
      'POST',
      `40${JSON.stringify({ token: alice.token })}`,
    );
    expect(said.status).to.equal(200);
    await until('the answer', async () => (await ask(`${POLLING}&sid=${sid}`)).body.includes('40{"sid"'));
    world.ctx.delivery.refuseNew();
    const polled = await ask(POLLING);
    expectProblem(polled, 503, 'unavailable');
    expect(polled.headers.get('retry-after')).to.equal('2');
    const upgraded = await upgrade('/socket.io/?EIO=4&transport=websocket');
    expect(upgraded)
      .to.match(/^HTTP\/1\.1 503 Service Unavailable\r\n/)
      .and.match(/\r\nRetry-After: 2\r\n/);
    expect(upgraded).to.contain('"retry_after":2');
    expect((await ask(`${POLLING}&sid=${sid}`)).status).to.equal(200);
  });
});
