import { expect } from 'chai';
import type { Request, Response } from 'express';
import jwt from 'jsonwebtoken';
import { PLACES_OF_ONE } from '../server/auth/passwords.ts';
import { AppError } from '../server/errors.ts';
import type { RateLimit } from '../server/limits/rate-limits.ts';
import { expectProblem } from './support/problems.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { rawBytes } from './support/raw-request.ts';
import { refusalOf } from './support/sockets.ts';
import { execute } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, type TestUser, type World } from './support/world.ts';

const SECRET = 'a secret of a test that is long enough';
const MAX_CONNECTIONS = 5;
const LOGIN_FAILURES = 3;
const REFUSALS =
  /^(tidings_(?:handshakes_refused|connection_limit_refused|sessions_closed|rate_limited|requests_malformed|logins_refused)_total\S*) (\d+)$/gm;

/** Every way to be turned away that `/metrics` tells of by name. The ends that take long are counted in `floods` and `slow-clients`. */
describe('anyone who is turned away', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld({
      JWT_SECRET: SECRET,
      RATE_LIMITS: 'on',
      LOGIN_FAILURES: String(LOGIN_FAILURES),
      MAX_CONNECTIONS: String(MAX_CONNECTIONS),
      ADDRESS_SHARE: '100',
      // Slow enough that the places of others are taken for as long as somebody asks.
      BCRYPT_COST: '8',
    });
    ada = await world.user();
  });
  afterEach(async () => {
    endRawClients();
    await until('the connections to be gone', () => connected() === 0);
  });
  after(() => world.close());

  const connected = () => (world.server.service.gateway.io.engine as { clientsCount: number }).clientsCount;

  async function counted(): Promise<Record<string, number>> {
    const { body } = await world.anonymous.get<string>('/metrics');
    return Object.fromEntries(
      [...body.matchAll(REFUSALS)].map(([, series = '', value]) => [series, Number(value)] as const),
    );
  }

  const join = (user = ada) => RawClient.join(world.url, { token: user.token });

  /** Leaves nothing of a limit to somebody: the requests themselves would be thousands. */
  async function exhaust(limit: RateLimit, user?: TestUser): Promise<void> {
    const { ctx } = world;
    const identity = user && ctx.tokens.verify(user.token);
    const req = { ip: '127.0.0.1' } as Request;
    let left = Infinity;
    const res = {
      set: (_name: string, value: string) => (left = Number(/r=(\d+)/.exec(value)?.[1] ?? left)),
    } as unknown as Response;
    while (left > 0) await ctx.countRequest(limit, req, res, identity);
  }

  /** Keeps every place that one address has among the hashes taken for as long as `act` continues. */
  async function crowd(act: () => Promise<unknown>): Promise<void> {
    let over = false;
    const takers = Array.from({ length: PLACES_OF_ONE }, async () => {
      while (!over) await world.ctx.passwords.hash('whatever', { senders: ['a127.0.0.1'] });
    });
    await act();
    over = true;
    await Promise.all(takers);
  }

  const refused = async (auth: object, status: number) =>
    expect(await refusalOf(world.socket(auth))).to.include({ status });
  const wrongPassword = (user: Pick<TestUser, 'email'>) =>
    world.anonymous.post('/login', { email: user.email, password: 'not this one' });

  /** What each does to be turned away, in an order in which none is in the way of the next; and what it is counted under. */
  const turnedAway: [series: string, act: () => Promise<unknown>, also?: string][] = [
    ['tidings_handshakes_refused_total{reason="unauthorized"}', () => refused({}, 401)],
    [
      'tidings_handshakes_refused_total{reason="invalid"}',
      () => refused({ token: ada.token, feed: 'loud' }, 422),
    ],
    [
      'tidings_handshakes_refused_total{reason="origin"}',
      async () => {
        const client = await RawClient.open(world.url, { Origin: 'https://evil.example.org' });
        expect(client.closed).to.be.true;
      },
    ],
    [
      'tidings_handshakes_refused_total{reason="second_connect"}',
      async () => {
        const client = await RawClient.open(world.url);
        for (let asked = 0; asked < 2; asked += 1) client.send(`40${JSON.stringify({ token: ada.token })}`);
        await until('the connection to be closed', () => client.closed);
      },
      // The first of the two was not done yet, and goes with the connection.
      'tidings_handshakes_refused_total{reason="unauthorized"}',
    ],
    [
      'tidings_handshakes_refused_total{reason="crowded"}',
      async () => {
        // An eighth of five places is one.
        await join();
        await refused({ token: ada.token }, 429);
      },
      'tidings_connection_limit_refused_total{reason="user"}',
    ],
    [
      'tidings_handshakes_refused_total{reason="full"}',
      async () => {
        for (let at = 0; at < MAX_CONNECTIONS; at += 1) await RawClient.open(world.url);
        expect((await RawClient.open(world.url)).closed).to.be.true;
      },
      'tidings_connection_limit_refused_total{reason="full"}',
    ],
    [
      'tidings_sessions_closed_total{code="revoked"}',
      async () => {
        const session = await logIn(world.url, ada);
        const client = await join(session);
        await session.post('/logout');
        await until('the end', () => client.closed);
      },
    ],
    [
      'tidings_sessions_closed_total{code="expired"}',
      async () => {
        const claims = { ...(jwt.decode(ada.token) as object), exp: Math.floor(Date.now() / 1000) + 6 };
        const client = await RawClient.join(world.url, { token: jwt.sign(claims, SECRET) });
        await until('the end', () => client.closed);
      },
    ],
    [
      'tidings_sessions_closed_total{code="flooding"}',
      async () => {
        const client = await join();
        for (let sent = 0; sent < 400; sent += 1) client.emit('feed:mode', { mode: 'live' });
        await until('the end', () => client.closed);
      },
    ],
    [
      'tidings_sessions_closed_total{code="reset"}',
      async () => {
        const client = await join();
        await execute(world, 'update feed_head set epoch = gen_random_uuid()');
        await until('the end', () => client.closed);
      },
    ],
    ['tidings_requests_malformed_total{status="400"}', () => rawBytes(world.url, 'nonsense\r\n\r\n')],
    [
      'tidings_requests_malformed_total{status="413"}',
      () =>
        rawBytes(
          world.url,
          `POST /posts HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}\r\n`,
        ),
    ],
    [
      'tidings_requests_malformed_total{status="431"}',
      () =>
        rawBytes(world.url, `GET / HTTP/1.1\r\nhost: localhost\r\nx-large: ${'x'.repeat(17 * 1024)}\r\n\r\n`),
    ],
    [
      'tidings_logins_refused_total',
      async () => expectProblem(await wrongPassword(ada), 403, 'invalid_credentials'),
    ],
    [
      'tidings_rate_limited_total{limit="passwords"}',
      // Of an account that nobody has logged in to from here: that would have a place of its own.
      () => crowd(async () => expectProblem(await wrongPassword({ email: 'nobody@example.org' }), 429)),
    ],
    [
      'tidings_rate_limited_total{limit="guess"}',
      async () => {
        const guess = { account: ada.id, address: '127.0.0.1' };
        const wrong = () => Promise.reject(new AppError('invalid_credentials', 'wrong'));
        for (let tries = 1; tries < LOGIN_FAILURES; tries += 1)
          await world.ctx.guesses.attempt(guess, wrong).catch(() => undefined);
        expectProblem(await wrongPassword(ada), 429);
      },
    ],
    [
      'tidings_rate_limited_total{limit="write"}',
      async () => {
        await exhaust('write', ada);
        expectProblem(await ada.post<object>('/posts', { title: 'x', content: '' }), 429);
      },
    ],
    [
      'tidings_rate_limited_total{limit="read"}',
      async () => {
        await exhaust('read', ada);
        expectProblem(await ada.get<object>('/posts'), 429);
      },
    ],
    [
      'tidings_rate_limited_total{limit="signup"}',
      async () => {
        await exhaust('signup');
        expectProblem(await world.anonymous.post<object>('/users', {}), 429);
      },
    ],
    [
      'tidings_rate_limited_total{limit="login"}',
      async () => {
        await exhaust('login');
        expectProblem(await world.anonymous.post<object>('/login', {}), 429);
      },
    ],
    [
      'tidings_sessions_closed_total{code="draining"}',
      async () => {
        const client = await join();
        await world.ctx.delivery.drain(0);
        await until('the end', () => client.closed);
      },
    ],
    [
      'tidings_handshakes_refused_total{reason="draining"}',
      async () => expect((await RawClient.open(world.url)).closed).to.be.true,
    ],
  ];
  for (const [series, act, also] of turnedAway)
    it(`is counted once, under ${series}, and under nothing else`, async () => {
      const before = await counted();
      await act();
      const after = { ...before };
      const expected = also === undefined ? [series] : [series, also];
      for (const one of expected) after[one] = (before[one] ?? 0) + 1;
      await until('it to be counted', async () => {
        const now = await counted();
        return expected.every((one) => now[one] === after[one]);
      });
      expect(await counted()).to.deep.equal(after);
    });
});
