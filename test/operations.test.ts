import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { NewApiKey } from '../server/auth/keys.ts';
import { packageRoot } from '../server/paths.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { type Program, ready, startProgram } from './support/program.ts';
import { rawRequest } from './support/raw-request.ts';
import { execute, numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, PASSWORD, signUp, type TestUser, type World } from './support/world.ts';

/** The headers of an answer that the client reads, but for what a page may always read. */
async function headersOfClient(): Promise<string[]> {
  const folder = join(packageRoot, 'client/src');
  const names = new Set<string>();
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.ts')) continue;
    const source = await readFile(join(folder, file), 'utf8');
    for (const [, name = ''] of source.matchAll(/headers\.get\('([\w-]+)'\)/g)) names.add(name);
  }
  names.delete('content-type');
  expect(names).to.include('content-disposition');
  return [...names];
}

describe('the running service', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
  });
  after(() => world.close());

  it('says that it lives, and that it is ready, with the state of its parts', async () => {
    const alive = await world.anonymous.get('/healthz');
    expect(alive.status).to.equal(200);
    expect(alive.body).to.deep.equal({ status: 'ok' });
    await writePost(ada);
    await until('the node to have numbered and followed', () => world.ctx.feed.seq > 0);
    const answer = await world.anonymous.get<{
      status: string;
      parts: Record<string, { status: string; seq?: number }>;
    }>('/readyz');
    expect(answer.status).to.equal(200);
    expect(answer.body.status).to.equal('ok');
    expect(answer.body.parts.database?.status).to.equal('ok');
    expect(answer.body.parts.feed).to.include({ status: 'ok', seq: world.ctx.feed.seq });
    for (const { headers } of [alive, answer]) expect(headers.get('cache-control')).to.equal('no-store');
  });

  it('counts its requests by pattern, for Prometheus', async () => {
    const count = async (series: string) => {
      const { body } = await world.anonymous.get<string>('/metrics');
      const line = body.split('\n').find((text) => text.startsWith(`${series} `));
      return line === undefined ? 0 : Number(line.slice(series.length));
    };
    const series = 'tidings_http_request_seconds_count{method="GET",route="/posts/:id",status="404"}';
    const before = await count(series);
    // Digits that no measured number has by chance.
    const missing = 731_904_826_517_001;
    for (const id of [missing, missing + 1, missing + 2]) expectProblem(await ada.get(`/posts/${id}`), 404);
    await until('the requests to be counted', async () => (await count(series)) === before + 3);
    const refused = await count('tidings_logins_refused_total');
    expectProblem(await world.anonymous.post('/login', { email: ada.email, password: 'not this one' }), 403);
    expect(await count('tidings_logins_refused_total')).to.equal(refused + 1);
    const metrics = await world.anonymous.get<string>('/metrics');
    expect(metrics.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
    expect(metrics.body).not.to.contain(String(missing)).and.not.to.contain(ada.username);
  });

  it('gives each answer an id, and keeps one that was given if it is harmless', async () => {
    const own = (await ada.get('/posts')).headers.get('x-request-id');
    expect(own).to.match(/^[0-9a-f-]{36}$/);
    expect((await ada.get('/posts')).headers.get('x-request-id')).not.to.equal(own);
    const given = await ada.get('/posts/999999', { 'x-request-id': 'from-a.proxy_1' });
    expect(given.headers.get('x-request-id')).to.equal('from-a.proxy_1');
    expectProblem(given, 404);
    for (const odd of ['a b', '<script>', 'x'.repeat(65), '"', 'ä'])
      expect((await ada.get('/posts', { 'x-request-id': odd })).headers.get('x-request-id')).to.match(
        /^[0-9a-f-]{36}$/,
      );
  });

  it('sends the headers of a careful service, and none that boasts', async () => {
    for (const path of ['/healthz', '/posts', '/nothing']) {
      const { headers } = await ada.get(path);
      expect(headers.get('x-content-type-options')).to.equal('nosniff');
      expect(headers.get('x-frame-options')).to.equal('SAMEORIGIN');
      expect(headers.get('referrer-policy')).to.equal('no-referrer');
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy)
        .to.contain("default-src 'self'")
        .and.contain("script-src 'self'")
        .and.contain("object-src 'none'");
      expect(policy).not.to.contain('unsafe');
      expect(policy, 'only a TLS terminator in front may promise this').not.to.contain(
        'upgrade-insecure-requests',
      );
      for (const name of ['x-powered-by', 'server', 'strict-transport-security', 'set-cookie'])
        expect(headers.get(name), name).to.equal(null);
    }
  });

  it('allows no other origin unless it was told to', async () => {
    const { headers } = await ada.get('/posts', { origin: 'https://evil.example' });
    expect(headers.get('access-control-allow-origin')).to.equal(null);
  });

  it('answers a bug with a bare 500, and an absent database with a 503', async () => {
    await execute(
      world,
      `create function broken() returns trigger language plpgsql as
         'begin raise exception ''no username in this column''; end';
       create trigger broken before insert on posts for each row execute function broken()`,
    );
    try {
      const answer = await ada.post<object>('/posts', { title: 'A bug', content: '' });
      const problem = expectProblem(answer, 500, 'internal');
      expect(Object.keys(problem).sort()).to.deep.equal(['detail', 'request_id', 'status', 'title', 'type']);
      expect(JSON.stringify(problem)).not.to.match(/username|column|broken|P0001/);
    } finally {
      await execute(world, 'drop trigger broken on posts; drop function broken()');
    }
    expect((await ada.get('/posts')).status).to.equal(200);
  });

  it('answers 503 while a column is away, as after a migration that was taken back under it', async () => {
    for (const [table, column] of [
      ['users', 'username'],
      ['posts', 'content'],
      ['event_outbox', 'data'],
    ] as const) {
      await execute(world, `alter table ${table} rename column ${column} to gone`);
      try {
        const write = await ada.post('/posts', { title: 'meanwhile', content: '' });
        expectProblem(write, 503, 'unavailable');
        expect(write.headers.get('retry-after'), column).to.match(/^\d+$/);
        const read = await ada.get(`/posts?limit=${80 + column.length}`);
        if (table !== 'event_outbox') expectProblem(read, 503, 'unavailable');
      } finally {
        await execute(world, `alter table ${table} rename column gone to ${column}`);
      }
      const post = await writePost(ada);
      expect((await ada.get(`/posts/${post.id}`)).status).to.equal(200);
    }
  });
});

describe('with a list of origins', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ CORS_ORIGINS: 'https://app.example,http://localhost:5173' });
  });
  after(() => world.close());

  const preflight = (origin: string) =>
    rawRequest(world.url, {
      method: 'OPTIONS',
      path: '/posts',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,idempotency-key,if-match',
      },
    });

  it('lets those in, with what they may send and see', async () => {
    for (const origin of ['https://app.example', 'http://localhost:5173']) {
      const before = await preflight(origin);
      expect(before.status).to.equal(204);
      expect(before.headers.get('access-control-allow-origin')).to.equal(origin);
      expect(before.headers.get('access-control-allow-methods')).to.contain('PATCH').and.contain('DELETE');
      expect(before.headers.get('access-control-allow-headers')).to.contain('idempotency-key');
      expect(before.headers.get('access-control-max-age')).to.equal('600');
      const { headers } = await world.anonymous.get('/posts', { origin });
      expect(headers.get('access-control-allow-origin'), 'on a refusal too').to.equal(origin);
      expect(headers.get('vary')).to.match(/origin/i);
      const exposed = headers.get('access-control-expose-headers')?.toLowerCase().split(',');
      expect(exposed).to.include.members(['etag', 'x-request-id', ...(await headersOfClient())]);
    }
  });

  it('lets no other in', async () => {
    for (const origin of [
      'https://app.example.evil.example',
      'http://app.example',
      'https://APP.example.',
      'null',
      'https://localhost:5173',
    ])
      for (const answer of [await preflight(origin), await world.anonymous.get('/healthz', { origin })])
        expect(answer.headers.get('access-control-allow-origin'), origin).to.equal(null);
  });
});

describe('with any origin', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ CORS_ORIGINS: '*' });
  });
  after(() => world.close());

  it('says so, and allows no credentials', async () => {
    const { headers } = await world.anonymous.get('/healthz', { origin: 'https://anything.example' });
    expect(headers.get('access-control-allow-origin')).to.equal('*');
    expect(headers.get('access-control-allow-credentials')).to.equal(null);
  });
});

describe('with rate limits', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on' });
  });
  after(() => world.close());

  const remaining = (headers: Headers) => Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);

  it('refuses the login after the last one allowed, says when to come back, and is fooled by no header', async () => {
    const login = (at: number) =>
      world.anonymous.post(
        '/login',
        { email: `nobody${at}@example.org`, password: 'not this one' },
        {
          'x-forwarded-for': `203.0.113.${at}`,
          'x-real-ip': `203.0.113.${at}`,
          forwarded: `for=203.0.113.${at}`,
        },
      );
    const first = await login(0);
    const policy = /^"login";q=(\d+);w=(\d+)$/.exec(first.headers.get('ratelimit-policy') ?? '');
    const allowed = Number(policy?.[1]);
    expect(allowed).to.be.within(5, 200);
    expect(remaining(first.headers)).to.equal(allowed - 1);
    for (let at = 1; at < allowed; at += 1) {
      const answer = await login(at);
      expectProblem(answer, 403);
      expect(remaining(answer.headers)).to.equal(allowed - 1 - at);
    }
    for (const at of [allowed, allowed + 1]) {
      const answer = await login(at);
      expectProblem(answer, 429, 'too_many_requests');
      expect(remaining(answer.headers)).to.equal(0);
      expect(Number(answer.headers.get('retry-after'))).to.be.within(1, Number(policy?.[2]));
    }
    // The right password, too: else the limit would tell a guesser when to stop.
    expect((await world.anonymous.get('/healthz')).status).to.equal(200);
    const { body } = await world.anonymous.get<string>('/metrics');
    expect(body).to.match(/^tidings_rate_limited_total\{limit="login"\} 2$/m);
  });

  it('refuses the sign-up after the last one allowed', async () => {
    const signUpAt = (at: number) =>
      world.anonymous.post('/users', { email: `a${at}@example.org`, password: 'x' });
    const first = await signUpAt(0);
    const allowed = Number(/q=(\d+)/.exec(first.headers.get('ratelimit-policy') ?? '')?.[1]);
    // One that is refused for its body counts as well: it tells whether a name is free.
    for (let at = 1; at < allowed; at += 1) expectProblem(await signUpAt(at), 422);
    const refused = await signUpAt(allowed);
    expectProblem(refused, 429, 'too_many_requests');
    expect(Number(refused.headers.get('retry-after'))).to.be.within(3000, 3600);
  });
});

describe('with a rate limit of new names', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on' });
  });
  after(() => world.close());

  it('refuses the eleventh in an hour, and counts none that stays', async () => {
    const ada = await world.user();
    const rename = (username: string) => ada.patch('/users/me', { username });
    for (let n = 0; n < 12; n += 1) expect((await rename(ada.username)).status).to.equal(200);
    for (let n = 0; n < 10; n += 1) {
      const { status, headers } = await rename(`name-${n}`);
      expect(status).to.equal(200);
      expect(headers.get('ratelimit-policy')).to.equal('"rename";q=10;w=3600');
    }
    const refused = await rename('name-10');
    expectProblem(refused, 429, 'too_many_requests');
    expect(Number(refused.headers.get('retry-after'))).to.be.within(3000, 3600);
    expect((await rename('name-9')).status).to.equal(200);
    expect((await (await world.user()).patch('/users/me', { username: 'name-10' })).status).to.equal(200);
  });
});

describe('with rate limits of what others have to read', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on' });
  });
  after(() => world.close());

  it('refuses the twenty-first thing in an hour that lets others act as a user, which the audit log would keep', async () => {
    const ada = await world.user();
    const key = () =>
      ada.post<NewApiKey>('/users/me/keys', { name: 'bot', scopes: ['read'], password: PASSWORD });
    for (let made = 0; made < 20; made += 1) {
      const { status, headers, body } = await key();
      expect(status).to.equal(201);
      expect(headers.get('ratelimit-policy')).to.equal('"credential";q=20;w=3600');
      expect((await ada.delete(`/users/me/keys/${body.id}`)).status).to.equal(204);
    }
    const hook = `/users/me/webhooks/${randomUUID()}`;
    for (const refused of [
      await key(),
      await ada.post<unknown>('/users/me/webhooks', { url: 'https://hooks.invalid/', password: PASSWORD }),
      await ada.patch<unknown>(hook, { url: 'https://hooks.invalid/', password: PASSWORD }),
      await ada.patch<unknown>(hook, { paused: false }),
      await ada.post<unknown>(`${hook}/secret`, { password: PASSWORD }),
      await ada.post<unknown>('/users/me/identities', { response: 'x', secret: 'x' }),
      await ada.patch<unknown>('/users/me', { email: 'ada@example.org', current_password: PASSWORD }),
    ])
      expectProblem(refused, 429, 'too_many_requests');
    expectProblem(await ada.patch(hook, { paused: true }), 404);
    expect(await numberOf(world, 'select count(*) from audit_log where user_id = $1', [ada.id])).to.equal(40);
  });

  it('refuses the sixty-first report of a user in an hour', async () => {
    const [ada, bob, eve] = [await world.user(), await world.user(), await world.user()];
    const report = (by: TestUser) => by.put(`/users/${bob.id}/report`, { reason: 'spam', note: '' });
    for (let made = 0; made < 60; made += 1) {
      const { status, headers } = await report(ada);
      expect(status).to.equal(204);
      expect(headers.get('ratelimit-policy')).to.equal('"report";q=60;w=3600');
    }
    expectProblem(await report(ada), 429, 'too_many_requests');
    expect((await report(eve)).status).to.equal(204);
  });
});

describe('behind a proxy that is trusted', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on', TRUST_PROXY: 'loopback' });
  });
  after(() => world.close());

  it('counts each address that the proxy tells, and users wherever they come from', async () => {
    const left = (headers: Headers) => /r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
    const from = (address: string) => world.anonymous.get('/users/1', { 'x-forwarded-for': address });
    const first = left((await from('203.0.113.1')).headers);
    expect(left((await from('203.0.113.2')).headers)).to.equal(first);
    expect(Number(left((await from('203.0.113.1')).headers))).to.equal(Number(first) - 1);
    // One customer's addresses of IPv6 are one.
    const sixth = Number(left((await from('2001:db8:0:1::1')).headers));
    expect(Number(left((await from('2001:db8:0:1:ffff::2')).headers))).to.equal(sixth - 1);
    expect(Number(left((await from('2001:db8:0:2::1')).headers))).to.equal(sixth);
    // A proxy that tells the port with it tells another one for each connection.
    expect(Number(left((await from('203.0.113.1:50001')).headers))).to.equal(Number(first) - 2);
    expect(Number(left((await from('203.0.113.1:50002')).headers))).to.equal(Number(first) - 3);
    expect(Number(left((await from('[2001:db8:0:1::3]:50001')).headers))).to.equal(sixth - 2);
    expect(Number(left((await from('[2001:db8:0:1::4]')).headers))).to.equal(sixth - 3);

    const ada = await world.user();
    const bob = await world.user();
    const write = async (user: TestUser, address: string) =>
      Number(
        left(
          (await user.post('/posts', { title: 'x', content: '' }, { 'x-forwarded-for': address })).headers,
        ),
      );
    const adas = await write(ada, '203.0.113.3');
    expect(await write(ada, '203.0.113.4')).to.equal(adas - 1);
    expect(await write(bob, '203.0.113.3')).to.equal(adas);
  });
});

describe('the log of the program', () => {
  let database: TestDatabase;
  let program: Program;
  before(async () => {
    database = await createDatabase();
    program = startProgram({
      DATABASE_URL: database.url,
      LOG_LEVEL: 'trace',
      BCRYPT_COST: '4',
      NODE_ENV: 'production',
      JWT_SECRET: 'the-signing-key-that-nobody-may-ever-see',
    });
    await ready(program);
  });
  after(async () => {
    await program.stop();
    await database.drop();
  });

  it('tells each request with its id, and no secret, whatever goes wrong', async () => {
    const { Client } = (await import('pg')).default;
    const ada = await signUp(program.url);
    const anonymous = new Api(program.url);
    const given = await ada.get('/posts', {
      'x-request-id': 'followed-through',
      cookie: 'session=cookie-secret',
    });
    expect(given.status).to.equal(200);
    await anonymous.post('/login', { email: ada.email, password: 'a-wrong-password' });
    await anonymous.get(`/posts?access_token=${ada.token}`);
    await anonymous.get('/posts', { authorization: `Bearer ${ada.token}x` });
    await anonymous.post('/refresh', { refresh_token: ada.refreshToken });
    await anonymous.post('/refresh', { refresh_token: ada.refreshToken });
    await anonymous.post('/users', `{"email":"${ada.email}","password":"in-broken-json`);

    const client = new Client({ connectionString: database.url });
    await client.connect();
    const email = 'in-a-failing-statement@example.org';
    try {
      // A bug of ours, as far as the service can tell: everything that is known of it is logged.
      await client.query(
        `create function broken() returns trigger language plpgsql as
           $$ begin raise exception 'what is password_hash?'; end $$;
         create trigger broken before insert on users execute function broken()`,
      );
      const failed = await anonymous.post('/users', { email, password: 'in-a-failing-statement' });
      expectProblem(failed, 500, 'internal');
      const id = failed.headers.get('x-request-id') ?? '';
      await until('the bug to be logged', () => program.stdout.includes('a request failed because of a bug'));
      const lines = program.stdout
        .split('\n')
        .filter((line) => line.includes('a request failed because of a bug'));
      expect(lines.join('\n'))
        .to.contain(id)
        .and.match(/password_hash/);
    } finally {
      await client.query('drop trigger broken on users; drop function broken()');
      await client.end();
    }
    await until('the request to be logged', () => program.stdout.includes('followed-through'));
    await program.stop();
    expect(program.code).to.equal(0);
    const said = program.stdout + program.stderr;
    for (const line of program.stdout.trim().split('\n'))
      if (!line.startsWith('Tidings is ready'))
        expect(() => JSON.parse(line) as unknown, line).not.to.throw();
    for (const secret of [
      PASSWORD,
      'a-wrong-password',
      'in-broken-json',
      'in-a-failing-statement',
      ada.token,
      ada.token.split('.')[2]!,
      ada.refreshToken,
      ada.email,
      'cookie-secret',
      'the-signing-key-that-nobody-may-ever-see',
      '$2b$',
      new URL(database.url).password || 'no password in the URL',
    ])
      expect(said.includes(secret), `${secret.slice(0, 30)} in the log`).to.be.false;
  });
});
