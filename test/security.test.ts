import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../server/paths.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { RawClient } from './support/raw-client.ts';
import { rawBytes, rawRequest } from './support/raw-request.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const SECRET = 'a secret of this test that is long enough to sign with';
const SEARCHED = 'words-that-somebody-searched-for';

describe('what SECURITY.md says', () => {
  let text: string;
  /** The rows of its table of defences. */
  let defences: Map<string, { by: string; proofs: string[] }>;
  /** A node with the limits that it has by default. */
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  const lines: string[] = [];

  before(async () => {
    text = await readFile(join(packageRoot, 'SECURITY.md'), 'utf8');
    defences = new Map(
      [...text.matchAll(/^\| *([^|]+?) *\|([^|]+)\|([^|]+)\|$/gm)]
        .map(([, against = '', by = '', proofs = '']) => ({
          against,
          by: by.trim(),
          proofs: [...proofs.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
        }))
        .filter(({ against }) => against !== 'Against' && !against.startsWith('--'))
        .map(({ against, ...rest }) => [against, rest]),
    );
    const limits = { RATE_LIMITS: 'on', BCRYPT_COST: '12', JWT_SECRET: SECRET };
    world = await createWorld(limits, undefined, (line) => lines.push(line));
    [ada, bob] = [await world.user('ada'), await world.user('bob')];
  });
  after(() => world.close());

  /** A number of the row, such as 16 of "frames of 16 KiB"; in words too. */
  const figure = (against: string, pattern: RegExp): number => {
    const [, found = ''] = pattern.exec(defences.get(against)?.by ?? '') ?? [];
    const words = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
    const value = words.includes(found) ? words.indexOf(found) : Number(found);
    expect(value, `${pattern} in the row "${against}"`).to.be.above(0);
    return value;
  };
  const policyOf = ({ headers }: Answer) => headers.get('ratelimit-policy') ?? '';
  const withToken = (token: string) =>
    rawRequest(world.url, { path: '/users/me', headers: { authorization: `Bearer ${token}` } });

  /** What one node shows of a row, asked of it. What needs more than a node is shown by the tests that the row names. */
  const asked: Record<string, (against: string) => Promise<void>> = {
    'stolen password tables': async (against) => {
      const cost = figure(against, /bcrypt at cost (\d+)/);
      const { rows } = await world.pool.query<{ row: string }>(
        'select u::text as row from users u union all select s::text from refresh_tokens s',
      );
      const all = rows.map(({ row }) => row).join('\n');
      expect(all.match(new RegExp(`\\$2b\\$${cost}\\$`, 'g'))).to.have.length(2);
      for (const user of [ada, bob]) expect(all).to.not.include(user.refreshToken).and.not.include(PASSWORD);
    },
    'guessing passwords': async () => {
      const wrong = { email: ada.email, password: 'not the right one' };
      const unknown = { email: 'nobody@example.org', password: 'not the right one' };
      const [first, second] = [
        await world.anonymous.post<object>('/login', wrong),
        await world.anonymous.post<object>('/login', unknown),
      ];
      const { request_id: _, ...told } = expectProblem(first, 403, 'invalid_credentials');
      expect(second.body).to.deep.include(told);
      expect(policyOf(first)).to.match(/^"login";q=\d+;w=\d+$/);
    },
    'forged tokens': async () => {
      const claims = jwt.decode(ada.token) as jwt.JwtPayload;
      expect((await withToken(jwt.sign(claims, SECRET))).status, 'signed anew').to.equal(200);
      const { exp: _, ...endless } = claims;
      const forged = {
        'another algorithm': jwt.sign(claims, SECRET, { algorithm: 'HS512' }),
        'another key': jwt.sign(claims, SECRET.replace('a', 'b')),
        'another issuer': jwt.sign({ ...claims, iss: 'elsewhere' }, SECRET),
        'another audience': jwt.sign({ ...claims, aud: 'elsewhere' }, SECRET),
        'no expiry': jwt.sign(endless, SECRET),
        'another subject': jwt.sign({ ...claims, sub: String(bob.id) }, SECRET),
        'a session that does not live': jwt.sign({ ...claims, sid: crypto.randomUUID() }, SECRET),
        'a refresh token': ada.refreshToken,
      };
      for (const [what, token] of Object.entries(forged))
        expect((await withToken(token)).status, what).to.equal(401);
    },
    'stolen refresh tokens': async () => {
      const user = await world.user();
      const refresh = (token: string) =>
        world.anonymous.post<{ access_token: string; refresh_token: string }>('/refresh', {
          refresh_token: token,
        });
      const second = (await refresh(user.refreshToken)).body;
      const third = (await refresh(second.refresh_token)).body;
      expect((await withToken(third.access_token)).status).to.equal(200);
      expect((await refresh(user.refreshToken)).status, 'used twice').to.equal(401);
      expect((await refresh(third.refresh_token)).status, 'the whole session').to.equal(401);
    },
    'tokens of ended sessions': async () => {
      const user = await world.user();
      const socket = await RawClient.join(world.url, { token: user.token });
      expect((await user.post('/logout')).status).to.equal(204);
      expect((await user.post('/posts', { title: 'late', content: '' })).status).to.equal(401);
      await until('the end of the socket', () => socket.heard('session:closed').length > 0, 1000);
    },
    'missing authorisation': async () => {
      const { id } = await writePost(ada);
      expectProblem(await bob.patch<object>(`/posts/${id}`, { title: 'mine' }), 403, 'forbidden');
      expectProblem(await world.anonymous.delete<object>(`/posts/${id}`), 401);
    },
    "reading other users' drafts": async () => {
      const { id } = await writePost(ada, { published: false });
      const { request_id: _, ...draft } = expectProblem(await bob.get<object>(`/posts/${id}`), 404);
      const { body } = await bob.get<object>('/posts/2000000000');
      expect(body).to.deep.include(
        JSON.parse(JSON.stringify(draft).replaceAll(` ${id}.`, ' 2000000000.')) as object,
      );
    },
    'mass assignment': async () => {
      const answer = await ada.post<object>('/posts', { title: 'x', content: '', votes: 7, owner_id: 1 });
      const faults = expectProblem(answer, 422).errors?.map(({ loc }) => loc.join('.'));
      expect(faults).to.have.members(['body.votes', 'body.owner_id']);
    },
    injection: async () => {
      const title = `'); drop table posts; -- <script>alert(1)</script> %27 \\' $1`;
      const { id } = await writePost(ada, { title });
      expect((await ada.get<{ title: string }>(`/posts/${id}`)).body.title).to.equal(title);
      expect((await ada.get(`/posts?search=${encodeURIComponent("' or 1=1 --")}`)).body).to.deep.equal([]);
    },
    'cross-site requests and sockets': async () => {
      const login = await world.anonymous.post('/login', { email: bob.email, password: PASSWORD });
      expect(login.headers.get('set-cookie')).to.equal(null);
      for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
        const answer = await rawRequest<object>(world.url, { path: '/posts', headers });
        expectProblem(answer, 403, 'forbidden');
        expect(policyOf(answer), 'nothing is counted').to.equal('');
      }
      const socket = new RawClient(world.url, { Origin: 'https://evil.example' });
      await until('its end', () => socket.closed);
      expect(socket.frames).to.be.empty;
      for (const path of ['/', '/healthz', '/posts', '/openapi.json', '/nothing'])
        expect((await rawRequest(world.url, { path })).headers.get('x-content-type-options'), path).to.equal(
          'nosniff',
        );
    },
    'DNS rebinding': async () => {
      const evil = { host: 'evil.example' };
      expect((await rawRequest(world.url, { path: '/posts', headers: evil })).status).to.equal(421);
      const hosts = 'GET /posts HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n';
      expect(await rawBytes(world.url, hosts)).to.match(/^HTTP\/1\.1 400 /);
      for (const title of ['one', 'two']) await writePost(ada, { title });
      const { headers } = await ada.get('/posts?limit=1');
      expect(headers.get('link')).to.match(/^<\/posts\?/);
    },
    'cross-site scripting on the page': async () => {
      const { headers } = await rawRequest(world.url, { path: '/', headers: { accept: 'text/html' } });
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy)
        .to.include("default-src 'self'")
        .and.not.include('unsafe-inline')
        .and.not.match(/https?:/);
    },
    'floods of requests': async (against) => {
      const body = figure(against, /bodies of (\d+) KiB/) * 1024;
      const padded = (length: number) => {
        const shape = JSON.stringify({ title: 'x', content: '' });
        return shape + ' '.repeat(length - shape.length);
      };
      expect((await ada.post('/posts', padded(body))).status).to.equal(201);
      expectProblem(await ada.post<object>('/posts', padded(body + 1)), 413, 'too_large');
      const header = figure(against, /headers of (\d+) KiB/) * 1024;
      const large = { path: '/healthz', headers: { 'x-large': 'x'.repeat(header) } };
      expect((await rawRequest(world.url, large)).status).to.equal(431);
      const names = figure(against, /(\w+) renames an hour/);
      expect(policyOf(await bob.patch('/users/me', { username: 'bobby' }))).to.equal(
        `"rename";q=${names};w=3600`,
      );
    },
    'mass sign-ups': async (against) => {
      const hour = figure(against, /(\d+) sign-ups an hour/);
      const signUp = { email: 'carla@example.org', password: 'x' };
      expect(policyOf(await world.anonymous.post('/users', signUp))).to.include(`q=${hour};w=3600`);
    },
    'impersonation by username': async () => {
      const signUp = { email: 'dora@example.org', password: PASSWORD };
      for (const username of ['admin', 'adm1n', 'support'])
        expectProblem(await world.anonymous.post<object>('/users', { ...signUp, username }), 422);
    },
    'floods over sockets': async (against) => {
      const frame = figure(against, /frames of (\d+) KiB/) * 1024;
      const large = await RawClient.join(world.url, { token: ada.token });
      large.emit('track', { post_ids: [1], more: 'x'.repeat(frame) });
      await until('the close', () => large.closed);
      expect(large.closeCode).to.equal(1009);
      const twice = await RawClient.join(world.url, { token: ada.token });
      twice.send(`40${JSON.stringify({ token: ada.token })}`);
      await until('the close', () => twice.closed);
      expect(twice.heard('ready')).to.have.length(1);
    },
    'exhaustion of connections': (against) => {
      expect(figure(against, /(\d+) % of sockets/)).to.equal(2);
      expect(defences.get(against)?.by).to.include('25 % per address (`ADDRESS_SHARE`)');
      const { connectionLimits, config } = world.ctx;
      expect(connectionLimits.connectionsPerAddress(config.maxConnections)).to.equal(
        config.maxConnections / 4,
      );
      return Promise.resolve();
    },
    'compression bombs': async () => {
      const headers = {
        authorization: `Bearer ${ada.token}`,
        'content-type': 'application/json',
        'content-encoding': 'gzip',
      };
      const bomb = { method: 'POST', path: '/posts', headers, body: 'x' };
      expect((await rawRequest(world.url, bomb)).status).to.equal(415);
    },
    'text that the database rejects': async () => {
      for (const title of ['a\u0000b', 'a\ud800b']) {
        const answer = await ada.post<object>('/posts', { title, content: '' });
        expect(expectProblem(answer, 422).errors?.map(({ loc }) => loc)).to.deep.equal([['body', 'title']]);
      }
    },
    'incomplete deletion': async () => {
      const before = (await bob.get('/posts')).headers.get('x-feed-seq');
      const { id } = await writePost(ada, { title: 'soon gone', content: 'before the edit' });
      await ada.patch(`/posts/${id}`, { content: 'before the deletion' });
      await ada.delete(`/posts/${id}`);
      type Page = { events: { name: string; data: { id: number } }[] };
      let events: Page['events'] = [];
      await until('its deletion in the log', async () => {
        ({ events } = (await bob.get<Page>(`/events?after=${before}`)).body);
        return events.some(({ name, data }) => name === 'post:deleted' && data.id === id);
      });
      expect(JSON.stringify(events)).to.not.match(/soon gone|before the edit|before the deletion/);
    },
    'secrets in logs': async () => {
      await ada.get(`/posts?search=${SEARCHED}`);
      await ada.post('/posts', { title: SEARCHED, content: SEARCHED });
      await until('both lines', () => lines.filter((line) => line.includes('"/posts"')).length >= 2);
      const log = lines.join('');
      for (const secret of [SEARCHED, PASSWORD, SECRET, ada.token, ada.refreshToken])
        expect(log).to.not.include(secret);
    },
  };

  it('is told of the defences that there are to ask a node for', () => {
    expect(defences).to.have.property('size').above(20);
    expect([...defences.keys()]).to.include.members(Object.keys(asked));
  });

  for (const [against, ask] of Object.entries(asked))
    it(`is so at a node that is asked, against ${against}`, () => ask(against));

  it('is proved, each of it, by test files that all tests include', async () => {
    const list = await promisify(execFile)(process.execPath, ['scripts/test.js', '--list', '--all'], {
      cwd: packageRoot,
    });
    const run = list.stdout.split('\n');
    for (const [against, { proofs }] of defences) {
      expect(proofs, against).not.to.be.empty;
      // What is run after the others is named with its folder.
      const files = proofs.map((proof) =>
        proof.includes('/') ? `test/${proof}.ts` : `test/${proof}.test.ts`,
      );
      expect(run, against).to.include.members(files);
    }
  });

  it('is counted, by metrics that a node tells', async () => {
    const { body } = await world.anonymous.get<string>('/metrics');
    const told = [...body.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
    const named = text.match(/\btidings_\w+/g) ?? [];
    expect(named).not.to.be.empty;
    expect(told).to.include.members(named);
  });
});
