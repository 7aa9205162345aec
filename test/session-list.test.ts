import { expect } from 'chai';
import { once } from 'node:events';
import { clientName } from '../server/auth/client-name.ts';
import type { NewApiKey } from '../server/auth/keys.ts';
import { isLogin, type LoginSession } from '../server/auth/present.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { readyOf } from './support/sockets.ts';
import { execute, numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0';

describe('a user’s sessions', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());
  beforeEach(async () => {
    ada = await world.user();
  });

  const listOf = async (user: Api, query = '') => (await user.get<LoginSession[]>(`/sessions${query}`)).body;
  const currentOf = async (user: Api) => (await listOf(user)).find(({ current }) => current)!;

  it('are listed, the newest login first, with what each client calls itself', async () => {
    const { body } = await world.anonymous.post<{ access_token: string }>(
      '/login',
      { email: ada.email, password: PASSWORD },
      { 'user-agent': FIREFOX },
    );
    const desk = new Api(world.url, body.access_token);
    const before = Date.now();
    const [newest, oldest, ...others] = await listOf(desk);
    expect(others).to.be.empty;
    expect(newest).to.include({ client: 'Firefox on Windows', current: true });
    expect(oldest).to.include({ current: false });
    for (const { created_at, last_seen_at } of [newest!, oldest!]) {
      expect(Date.parse(created_at)).to.be.within(before - 60_000, before);
      expect(last_seen_at >= created_at).to.be.true;
    }
    const bob = await world.user();
    expect((await listOf(bob)).map(({ id }) => id)).not.to.include.members([newest!.id, oldest!.id]);
    expect(await listOf(bob)).to.have.lengthOf(1);
  });

  it('are listed in pages, by a cursor of this list alone', async () => {
    for (let more = 0; more < 4; more += 1) await logIn(world.url, ada);
    const found: string[] = [];
    for (let path: string | undefined = '/sessions?limit=2'; path !== undefined;) {
      const { body, headers }: Awaited<ReturnType<typeof ada.get<LoginSession[]>>> = await ada.get(path);
      expect(body.length).to.be.within(1, 2);
      found.push(...body.map(({ id }) => id));
      path = /<(.*)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    }
    expect(found).to.deep.equal((await listOf(ada, '?limit=100')).map(({ id }) => id));
    expect(new Set(found).size).to.equal(5);
    for (const cursor of ['x', Buffer.from('["new",1,2]').toString('base64url')])
      expect(faultsOf(await ada.get(`/sessions?cursor=${cursor}`))).to.deep.equal(['query.cursor']);
  });

  it('end one by one: its tokens and its sockets, while the others continue', async () => {
    const phone = await logIn(world.url, ada);
    const { id } = await currentOf(phone);
    const [gone, kept] = [world.socket({ token: phone.token }), world.socket({ token: ada.token })];
    await Promise.all([readyOf(gone), readyOf(kept)]);
    const closed = once(gone as never, 'session:closed') as Promise<[{ code: string }]>;
    expect((await ada.delete(`/sessions/${id}`)).status).to.equal(204);
    expectProblem(await phone.get('/sessions'), 401);
    expect((await closed)[0].code).to.equal('revoked');
    expect(kept.connected).to.be.true;
    expect((await listOf(ada)).map((session) => session.id)).not.to.include(id);
    expectProblem(await ada.delete(`/sessions/${id}`), 404);
  });

  it('include the one that asks, which may end itself', async () => {
    const { id } = await currentOf(ada);
    expect((await ada.delete(`/sessions/${id}`)).status).to.equal(204);
    expectProblem(await ada.get('/sessions'), 401);
  });

  it('are 200 at most: a login ends the one that was not used for the longest, and no API key', async () => {
    const key = await ada.post<NewApiKey>('/users/me/keys', {
      name: 'bot',
      scopes: ['read'],
      expires_in_days: 1,
      password: PASSWORD,
    });
    const used = await currentOf(await logIn(world.url, ada));
    const socket = world.socket({ token: ada.token });
    await readyOf(socket);
    const closed = once(socket as never, 'session:closed') as Promise<[{ code: string }]>;
    await execute(
      world,
      `insert into sessions (id, user_id, created_at, expires_at)
       select gen_random_uuid(), $1, now() + interval '1 hour', now() + interval '2 hours' from generate_series(1, 198)`,
      [ada.id],
    );
    await execute(
      world,
      `update sessions set created_at = now() - interval '1 day', last_seen_at = now() + interval '2 hours' where id = $1`,
      [used.id],
    );
    await logIn(world.url, ada);
    expectProblem(await ada.post('/logout'), 401);
    expect((await closed)[0].code).to.equal('revoked');
    const live = `select count(*) from sessions where user_id = $1 and revoked_at is null and ${isLogin}`;
    expect(await numberOf(world, live, [ada.id])).to.equal(200);
    expect(await numberOf(world, `${live} and id = $2`, [ada.id, used.id])).to.equal(1);
    expect((await new Api(world.url, key.body.key).get('/posts')).status).to.equal(200);
  });

  it('of others are not there', async () => {
    const bob = await world.user();
    const { id } = await currentOf(bob);
    expectProblem(await ada.delete(`/sessions/${id}`), 404);
    expect(await listOf(bob)).to.have.lengthOf(1);
    expect(faultsOf(await ada.delete('/sessions/1'))).to.deep.equal(['path.id']);
  });

  it('tell when they were used last, in steps of five minutes', async () => {
    const phone = await logIn(world.url, ada);
    const { id } = (await listOf(ada))[0]!;
    const age = () =>
      execute(
        world,
        `update sessions set created_at = created_at - interval '1 day', last_seen_at = now() - interval '1 day' where id = $1`,
        [id],
      );
    const seenOf = async () =>
      Date.parse((await listOf(ada)).find((session) => session.id === id)!.last_seen_at);
    const STEP = 300_000;
    const isNow = (time: number) => time % STEP === 0 && Date.now() - time < STEP + 60_000;
    await age();
    expect(isNow(await seenOf())).to.be.false;
    expect((await phone.get('/sessions')).status).to.equal(200);
    await until('the first use', async () => isNow(await seenOf()));

    await age();
    const answer = await world.anonymous.post('/refresh', { refresh_token: phone.refreshToken });
    expect(answer.status).to.equal(200);
    expect(isNow(await seenOf())).to.be.true;
  });
});

describe('the name of a client', () => {
  it('is the browser and its system, or what another program calls itself', () => {
    const engine = 'AppleWebKit/537.36 (KHTML, like Gecko)';
    for (const [userAgent, name] of [
      [FIREFOX, 'Firefox on Windows'],
      [`Mozilla/5.0 (X11; Linux x86_64) ${engine} Chrome/131.0.0.0 Safari/537.36`, 'Chrome on Linux'],
      [
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
        'Safari on iOS',
      ],
      ['Mozilla/5.0', 'Mozilla/5.0'],
      ['okhttp/4.12.0', 'okhttp/4.12.0'],
      ['  a  program\twith   blanks ', 'a program with blanks'],
      ['x'.repeat(5000), 'x'.repeat(80)],
      ['', null],
      ['  ', null],
      [undefined, null],
    ] as const)
      expect(clientName(userAgent), userAgent).to.equal(name);
  });
});
