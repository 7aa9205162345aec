import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { routes } from '../server/app.ts';
import type { ApiKey, LoginSession } from '../server/auth/present.ts';
import { MAX_KEYS, type NewApiKey } from '../server/auth/keys.ts';
import { type Scope, scopes } from '../server/identity.ts';
import { EventStream } from './support/event-stream.ts';
import { logLines } from './support/log-lines.ts';
import { expectProblem, withoutRequestId } from './support/problems.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { inThisOrder } from './support/request-order.ts';
import { execute, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import {
  type Answer,
  Api,
  createWorld,
  logIn,
  PASSWORD,
  type TestUser,
  type World,
} from './support/world.ts';

const PATH = '/users/me/keys';
const NUMBER_OF_KEYS =
  'select count(*) from api_keys k join sessions s on s.id = k.session_id where s.user_id = $1';

/** Who may do what with a key: what is not here is done by nobody but a user who has logged in. */
const allowed: Record<Scope, readonly string[]> = {
  read: [
    'get /users/me',
    'get /users/:id',
    'get /users/by-name/:username',
    'get /users/:id/followers',
    'get /users/:id/following',
    'get /users/me/blocks',
    'get /users/me/mutes',
    'get /posts',
    'get /posts/:id',
    'get /posts/:id/replies',
    'get /notifications',
    'get /events',
    'get /events/stream',
  ],
  write: [
    'put /users/:id/follow',
    'delete /users/:id/follow',
    'put /users/:id/block',
    'delete /users/:id/block',
    'put /users/:id/mute',
    'delete /users/:id/mute',
    'post /posts',
    'put /posts/:id',
    'patch /posts/:id',
    'delete /posts/:id',
    'post /posts/:id/replies',
    'post /vote',
    'put /posts/:id/vote',
    'delete /posts/:id/vote',
    'put /notifications/read',
    'put /posts/:id/report',
    'put /users/:id/report',
  ],
  moderate: ['get /moderation/cases', 'post /moderation/actions', 'get /moderation/log'],
};

describe('API keys', () => {
  const log = logLines();
  const made: string[] = [];
  let world: World;
  before(async () => {
    world = await createWorld({}, undefined, log.read);
  });
  afterEach(() => endRawClients());
  after(() => world.close());

  async function keyOf(user: TestUser, given: readonly Scope[] = ['read', 'write']) {
    const { status, body } = await user.post<NewApiKey>(PATH, {
      name: 'a bot',
      scopes: given,
      password: PASSWORD,
    });
    expect(status).to.equal(201);
    made.push(body.key);
    return { ...body, api: new Api(world.url, body.key) };
  }

  it('are shown once, and stored as a hash', async () => {
    const ada = await world.user();
    const answer = await ada.post<NewApiKey>(PATH, {
      name: 'the weather bot',
      scopes: ['write', 'read'],
      expires_in_days: 7,
      password: PASSWORD,
    });
    expect(answer.status).to.equal(201);
    expect(answer.headers.get('cache-control')).to.equal('no-store');
    const { key, ...shown } = answer.body;
    made.push(key);
    expect(key).to.match(/^tdk_[\w-]{43}$/);
    expect(shown).to.deep.include({ name: 'the weather bot', scopes: ['write', 'read'], last_used_at: null });
    expect(Date.parse(shown.expires_at) - Date.parse(shown.created_at)).to.equal(7 * 24 * 3_600_000);
    expect((await ada.get<ApiKey[]>(PATH)).body).to.deep.equal([shown]);
    const [row] = await rows<{ hash: Buffer }>(world, 'select hash from api_keys where session_id = $1', [
      shown.id,
    ]);
    expect(row?.hash).to.deep.equal(createHash('sha256').update(key).digest());
    // They are no logins, and other users have theirs.
    expect((await ada.get<unknown[]>('/sessions')).body).to.have.length(1);
    expect((await (await world.user()).get<ApiKey[]>(PATH)).body).to.deep.equal([]);
  });

  it('need the password of their user, a name and something that they may do', async () => {
    const ada = await world.user();
    const body = { name: 'a bot', scopes: ['read'], password: PASSWORD };
    expectProblem(await ada.post<object>(PATH, { ...body, password: 'wrong' }), 403, 'invalid_credentials');
    for (const wrong of [
      { name: ' ' },
      { name: 'x'.repeat(81) },
      { scopes: [] },
      { scopes: ['all'] },
      { scopes: ['read', 'read'] },
      { expires_in_days: 0 },
      { expires_in_days: 367 },
      { expires_in_days: null },
    ])
      expectProblem(await ada.post<object>(PATH, { ...body, ...wrong }), 422);
    expect((await ada.get<ApiKey[]>(PATH)).body).to.deep.equal([]);
  });

  it('do what their user does, and count as used', async () => {
    const ada = await world.user();
    const { id, api } = await keyOf(ada);
    const post = await api.post<{ id: number; owner_id: number }>('/posts', {
      title: 'By a bot',
      content: '',
    });
    expect(post.status).to.equal(201);
    expect(post.body.owner_id).to.equal(ada.id);
    expect((await api.get<{ voted: boolean }>(`/posts/${post.body.id}`)).status).to.equal(200);
    await until('the use to be noted', async () => {
      const { body } = await ada.get<ApiKey[]>(PATH);
      return body.find((key) => key.id === id)?.last_used_at !== null;
    });
  });

  it('may do what their scopes say, on each route that is mounted, and nothing else', async () => {
    const ada = await world.user();
    const declared = routes.filter(({ access }) => access !== 'anyone');
    for (const scope of scopes)
      expect(
        declared.filter((route) => route.scope === scope).map(({ method, path }) => `${method} ${path}`),
        scope,
      ).to.have.members(allowed[scope]);
    for (const scope of scopes) {
      const { api } = await keyOf(ada, [scope]);
      for (const { method, path, access } of declared) {
        const name = `${method} ${path}`;
        // Nothing is done by it: what is let in is refused for its input.
        const faulty = `${path.replaceAll(/:\w+/g, '-')}${method === 'get' ? '?limit=x&after=x' : ''}`;
        const answer = await api.request<{ type?: string }>(
          method.toUpperCase(),
          faulty,
          method === 'get' ? undefined : [],
        );
        if (allowed[scope].includes(name)) {
          expect(answer.status, `${name} with ${scope}`).to.be.oneOf([200, 404, 422]);
          continue;
        }
        expectProblem(answer, 403, 'insufficient_scope');
        expect(answer.headers.get('www-authenticate'), name).to.match(/^Bearer error="insufficient_scope"/);
        expect(access).to.be.oneOf(['user', 'optional', 'reader']);
      }
    }
  });

  it('of somebody who is no moderator moderate nothing', async () => {
    const { api } = await keyOf(await world.user(), [...scopes]);
    expectProblem(await api.get<object>('/moderation/cases'), 403, 'forbidden');
  });

  it('open sockets, streams and long-polls, which end with them', async () => {
    const ada = await world.user();
    const { id, key, api } = await keyOf(ada, ['read']);
    const client = await RawClient.join(world.url, { token: key });
    expect(client.heard('ready')).to.have.length(1);
    const stream = await EventStream.open(api);
    const { head } = (await api.get<{ head: number }>('/events')).body;
    const poll = api.get<object>(`/events?after=${head}&wait=30`);
    // A long-poll is there once its connection counts.
    await until('all to be there', () => world.ctx.connections.countOf(ada.id) === 3);

    expect((await ada.delete(`${PATH}/${id}`)).status).to.equal(204);
    expectProblem(await poll, 401, 'unauthorized');
    await until('the socket to be ended', () => client.closed);
    expect(client.heard('session:closed')[0]?.[0]).to.include({ code: 'revoked' });
    expect((await stream.take(1))[0]?.event).to.equal('session:closed');
    await stream.ended();
    expect(await numberOf(world, 'select count(*) from sessions where id = $1', [id])).to.equal(0);
    expectProblem(await ada.delete<object>(`${PATH}/${id}`), 404);
  });

  it('without the scope read open no socket', async () => {
    const ada = await world.user();
    const { key } = await keyOf(ada, ['write']);
    const client = await RawClient.open(world.url);
    client.send(`40${JSON.stringify({ token: key })}`);
    await until('the refusal', () => client.frames.some((frame) => frame.startsWith('44')));
    expect(client.frames.at(-1)).to.contain('insufficient_scope');
    const own = await RawClient.join(world.url, { token: ada.token });
    own.emit('auth:renew', { token: key }, 7);
    const answer = () => own.frames.find((frame) => frame.startsWith('437'));
    await until('the answer', () => answer() !== undefined);
    expect(answer()).to.contain('insufficient_scope');
  });

  it('carry a socket on in place of an access token', async () => {
    const ada = await world.user();
    const { id, key, expires_at } = await keyOf(ada, ['read']);
    const client = await RawClient.join(world.url, { token: ada.token });
    client.emit('auth:renew', { token: key }, 1);
    const answer = () => client.frames.find((frame) => frame.startsWith('431'));
    await until('the answer', () => answer() !== undefined);
    expect(answer()).to.contain(expires_at);
    await ada.delete(`${PATH}/${id}`);
    await until('the socket to be ended', () => client.closed);
  });

  it('end their sockets when they expire', async () => {
    const ada = await world.user();
    // On a slow machine a key may expire before its socket is there: then one that lives longer is tried.
    for (let seconds = 2; ; seconds *= 3) {
      const { id, key } = await keyOf(ada, ['read']);
      await execute(world, `update sessions set expires_at = now() + $2 * interval '1 s' where id = $1`, [
        id,
        seconds,
      ]);
      const client = await RawClient.open(world.url);
      client.send(`40${JSON.stringify({ token: key })}`);
      await until(
        'the socket to be ended',
        () => client.closed || client.frames.some((frame) => frame.startsWith('44')),
      );
      if (client.heard('ready').length === 0 && seconds < 60) continue;
      expect(client.heard('session:closed')[0]?.[0]).to.include({ code: 'expired' });
      expectProblem(await new Api(world.url, key).get<object>('/posts'), 401);
      break;
    }
  });

  it('get the same answer whether they are unknown, malformed, expired or revoked', async () => {
    const ada = await world.user();
    const [expired, revoked, remembered] = [await keyOf(ada), await keyOf(ada), await keyOf(ada)];
    expect((await remembered.api.get('/posts')).status).to.equal(200);
    await execute(world, `update sessions set expires_at = now() - interval '1 s' where id = $1`, [
      expired.id,
    ]);
    for (const { id } of [revoked, remembered]) await ada.delete(`${PATH}/${id}`);
    const unknown = `tdk_${'x'.repeat(43)}`;
    const answers = [];
    for (const key of [unknown, 'tdk_', `${unknown}y`, expired.key, revoked.key, remembered.key]) {
      const answer = await new Api(world.url, key).get<object>('/posts');
      expectProblem(answer, 401, 'unauthorized');
      expect(answer.headers.get('www-authenticate')).to.equal('Bearer');
      answers.push(withoutRequestId(answer));
      const client = await RawClient.open(world.url);
      client.send(`40${JSON.stringify({ token: key })}`);
      await until('the refusal', () => client.frames.some((frame) => frame.startsWith('44')));
      const { data } = JSON.parse(client.frames.at(-1)!.slice(2)) as { data: object };
      answers.push(data);
    }
    for (const answer of answers) expect(answer).to.deep.equal(answers[0]);
  });

  it(`are at most ${MAX_KEYS} at once, also of many who ask for them at once`, async () => {
    const ada = await world.user();
    const tries = await Promise.all(
      Array.from({ length: MAX_KEYS + 3 }, () =>
        ada.post<NewApiKey>(PATH, { name: 'one of many', scopes: ['read'], password: PASSWORD }),
      ),
    );
    expect(tries.filter(({ status }) => status === 201)).to.have.length(MAX_KEYS);
    expect(tries.filter(({ status }) => status === 409)).to.have.length(3);
    const { body } = await ada.get<ApiKey[]>(PATH);
    expect(body).to.have.length(MAX_KEYS);
    await ada.delete(`${PATH}/${body[0]!.id}`);
    await keyOf(ada);
  });

  const endings: Record<string, (user: TestUser) => Promise<Answer<object>>> = {
    'a new password': (user) =>
      user.patch('/users/me', { password: 'another horse battery', current_password: PASSWORD }),
    'a logout everywhere': (user) => user.post('/logout/all'),
    'the deletion of the account': (user) => user.delete('/users/me', { password: PASSWORD }),
  };
  const make = (user: TestUser) =>
    user.post<NewApiKey>(PATH, { name: 'a bot', scopes: ['read'], password: PASSWORD });
  const suspend = async (user: TestUser) => {
    const moderator = await world.user();
    await execute(world, `update users set role = 'moderator' where id = $1`, [moderator.id]);
    return () =>
      moderator.post('/moderation/actions', {
        action: 'suspend',
        user_id: user.id,
        reason: 'for a test',
      });
  };
  const refusals: Record<string, [status: number, code: string]> = {
    'a new password': [403, 'invalid_credentials'],
    'a logout everywhere': [401, 'unauthorized'],
    'the deletion of the account': [401, 'unauthorized'],
    'a suspension': [401, 'unauthorized'],
  };
  for (const [what, refusal] of Object.entries(refusals)) {
    const ending = async (user: TestUser) => {
      const end = endings[what];
      return end ? () => end(user) : suspend(user);
    };

    it(`are not made after ${what} that came while the password was looked at`, async () => {
      const ada = await world.user();
      const [ended, refused] = await inThisOrder(world, ada, [await ending(ada), () => make(ada)]);
      expect(ended?.status).to.be.within(200, 204);
      expectProblem(refused!, ...refusal);
      expect(await numberOf(world, NUMBER_OF_KEYS, [ada.id])).to.equal(0);
    });

    it(`end with ${what} that came while they were made`, async () => {
      const ada = await world.user();
      const [answer, ended] = await inThisOrder(world, ada, [() => make(ada), await ending(ada)]);
      expect(answer?.status).to.equal(201);
      expect(ended?.status).to.be.within(200, 204);
      const { key } = answer!.body as NewApiKey;
      made.push(key);
      expectProblem(await new Api(world.url, key).get<object>('/posts'), 401);
    });
  }

  it('are not made by a session that was ended while the password was looked at', async () => {
    const ada = await world.user();
    const other = await logIn(world.url, ada);
    const { body } = await ada.get<LoginSession[]>('/sessions');
    const { id } = body.find(({ current }) => current)!;
    const [refused] = await inThisOrder(world, ada, [() => make(ada)], async () => {
      expect((await other.delete(`/sessions/${id}`)).status).to.equal(204);
    });
    expectProblem(refused!, 401, 'unauthorized');
  });

  it('are no sessions that DELETE /sessions/:id ends', async () => {
    const ada = await world.user();
    const { id, api } = await keyOf(ada);
    expectProblem(await ada.delete<object>(`/sessions/${id}`), 404, 'not_found');
    expect((await api.get('/posts')).status).to.equal(200);
  });

  for (const [what, end] of Object.entries(endings))
    it(`end with ${what}`, async () => {
      const ada = await world.user();
      const { api } = await keyOf(ada);
      expect((await api.get('/posts')).status).to.equal(200);
      await end(ada);
      expectProblem(await api.get<object>('/posts'), 401);
      expectProblem(await api.post<object>('/posts', { title: 'too late', content: '' }), 401);
    });

  it('outlive a logout of the session that they were made with', async () => {
    const ada = await world.user();
    const { api } = await keyOf(ada);
    await ada.post('/logout');
    expect((await api.get('/posts')).status).to.equal(200);
  });

  it('end with a suspension, and stay ended after it', async () => {
    const ada = await world.user();
    const { api } = await keyOf(ada);
    const moderator = await world.user();
    await execute(world, `update users set role = 'moderator' where id = $1`, [moderator.id]);
    const act = (action: string) =>
      moderator.post('/moderation/actions', { action, user_id: ada.id, reason: 'for a test' });
    expect((await act('suspend')).status).to.equal(201);
    expectProblem(await api.get<object>('/posts'), 401);
    expect((await act('unsuspend')).status).to.equal(201);
    expectProblem(await api.get<object>('/posts'), 401);
    expect((await (await logIn(world.url, ada)).get<ApiKey[]>(PATH)).body).to.deep.equal([]);
  });

  it('are noted in the audit log, and exported without the key', async () => {
    const ada = await world.user();
    const kept = await keyOf(ada);
    const { id } = await keyOf(ada);
    await ada.delete(`${PATH}/${id}`);
    const noted = await rows<{ action: string }>(
      world,
      'select action from audit_log where actor_id = $1 order by id',
      [ada.id],
    );
    expect(noted.map(({ action }) => action)).to.deep.equal(['create_key', 'create_key', 'revoke_key']);
    const { body } = await ada.get<string>('/users/me/export');
    expect(body).to.contain(kept.id).and.not.contain(kept.key).and.not.contain(id);
  });

  it('are in no line of the log', () => {
    const text = JSON.stringify(log.all());
    expect(made.length).to.be.above(10);
    for (const key of made) expect(text).to.not.contain(key);
  });
});
