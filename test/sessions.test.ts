import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import bcrypt from 'bcrypt';
import { expect } from 'chai';
import type { NewApiKey } from '../server/auth/keys.ts';
import type { LoginSession } from '../server/auth/present.ts';
import { RefreshTokens } from '../server/auth/refresh-tokens.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import { expectProblem, faultsOf, withoutRequestId } from './support/problems.ts';
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

interface Tokens {
  access_token: string;
  token_type: string;
  expires_in: number;
  refresh_token: string;
}

const form = { 'content-type': 'application/x-www-form-urlencoded' };

describe('sessions', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld(sharedSecret);
  });
  after(() => world.close());
  beforeEach(async () => {
    ada = await world.user();
  });

  const login = (body: unknown, headers?: Record<string, string>) =>
    world.anonymous.post<Tokens>('/login', body, headers);
  const refresh = (token: string) => world.anonymous.post<Tokens>('/refresh', { refresh_token: token });
  const works = async (token: string) => (await new Api(world.url, token).get('/users/me')).status === 200;

  const ofUser = 'session_id in (select id from sessions where user_id = $1)';
  const tokensOf = (user: TestUser) =>
    numberOf(world, `select count(*)::integer from refresh_tokens where ${ofUser}`, [user.id]);
  /** Makes what the user's tokens were used for some seconds older. */
  const usedBefore = (user: TestUser, seconds: number) =>
    execute(
      world,
      `update refresh_tokens set spent_at = spent_at - $2 * interval '1 second' where spent_at is not null and ${ofUser}`,
      [user.id, seconds],
    );

  describe('logging in', () => {
    it('takes the OAuth2 form and JSON alike', async () => {
      const asForm = new URLSearchParams({
        grant_type: 'password',
        username: ada.email,
        password: PASSWORD,
        scope: '',
      }).toString();
      for (const answer of [
        await login(asForm, form),
        await login({ username: ada.email, password: PASSWORD }),
        await login({ email: ada.email.toUpperCase(), password: PASSWORD }),
      ]) {
        expect(answer.status).to.equal(200);
        expect(Object.keys(answer.body).sort()).to.deep.equal([
          'access_token',
          'expires_in',
          'refresh_token',
          'token_type',
        ]);
        expect(answer.body).to.include({ token_type: 'bearer', expires_in: 900 });
        expect(await works(answer.body.access_token)).to.be.true;
      }
    });

    describe('with a hash of another cost', () => {
      const hashOf = async () =>
        (
          await rows<{ hash: string }>(world, 'select password_hash as hash from users where id = $1', [
            ada.id,
          ])
        )[0]?.hash ?? '';
      const old = async () =>
        execute(world, 'update users set password_hash = $2 where id = $1', [
          ada.id,
          await bcrypt.hash(PASSWORD, 6),
        ]);

      it('gives the password one of the cost of now, and only if it fits', async () => {
        await old();
        const before = await hashOf();
        expectProblem(await login({ email: ada.email, password: 'not this one' }), 403);
        expect(await hashOf()).to.equal(before);
        expect((await login({ email: ada.email, password: PASSWORD })).status).to.equal(200);
        await until('the new hash', async () => bcrypt.getRounds(await hashOf()) === 4);
        const after = await hashOf();
        expect((await login({ email: ada.email, password: PASSWORD })).status).to.equal(200);
        expect(await hashOf()).to.equal(after);
      });

      it('refuses nobody who comes at the same moment', async () => {
        for (let round = 0; round < 5; round += 1) {
          await old();
          const logins = Array.from({ length: 6 }, () => login({ email: ada.email, password: PASSWORD }));
          const edits = Array.from({ length: 6 }, (_, n) =>
            ada.patch('/users/me', { email: `${n}-${ada.email}`, current_password: PASSWORD }),
          );
          for (const { status } of await Promise.all(edits)) expect(status).to.equal(200);
          // Under its address of then an account may not be found any more.
          for (const { status } of await Promise.all(logins)) expect(status).to.be.oneOf([200, 403]);
          await ada.patch('/users/me', { email: ada.email, current_password: PASSWORD });
          await old();
          const again = Array.from({ length: 8 }, () => login({ email: ada.email, password: PASSWORD }));
          for (const { status } of await Promise.all(again)) expect(status).to.equal(200);
          await until('the new hash', async () => bcrypt.getRounds(await hashOf()) === 4);
        }
      });

      it('does not undo a new password', async () => {
        await old();
        const changed = ada.patch('/users/me', { password: 'another good one', current_password: PASSWORD });
        const logins = Array.from({ length: 4 }, () => login({ email: ada.email, password: PASSWORD }));
        expect((await changed).status).to.equal(200);
        await Promise.all(logins);
        expect((await login({ email: ada.email, password: 'another good one' })).status).to.equal(200);
        expectProblem(await login({ email: ada.email, password: PASSWORD }), 403);
      });
    });

    it('forbids that its answer be kept by a cache (RFC 6749, 5.1)', async () => {
      const answer = await login({ email: ada.email, password: PASSWORD });
      expect(answer.headers.get('cache-control')).to.equal('no-store');
      expect((await refresh(answer.body.refresh_token)).headers.get('cache-control')).to.equal('no-store');
    });

    it('answers an unknown user and a wrong password with the same status and body', async () => {
      const unknown = await login({ email: 'nobody@example.org', password: PASSWORD });
      const wrong = await login({ email: ada.email, password: 'not this one' });
      expect(expectProblem(unknown, 403, 'invalid_credentials').title).to.equal('Invalid Credentials');
      expectProblem(wrong, 403, 'invalid_credentials');
      expect(withoutRequestId(unknown)).to.deep.equal(withoutRequestId(wrong));
      const names = (answer: { headers: Headers }) => [...answer.headers.keys()].sort();
      expect(names(unknown)).to.deep.equal(names(wrong));
    });

    it('takes no other password that begins with the same 72 bytes, or the username for the address', async () => {
      const long = 'x'.repeat(72);
      await ada.patch('/users/me', { password: long, current_password: PASSWORD });
      await logIn(world.url, ada, long);
      expectProblem(await login({ email: ada.email, password: `${long}y` }), 403);
      expectProblem(await login({ username: ada.username, password: long }), 403);
    });

    it('names what is missing', async () => {
      expect(faultsOf(await login({ password: PASSWORD }))).to.deep.equal(['body']);
      expect(faultsOf(await login({ email: ada.email }))).to.deep.equal(['body.password']);
      expect(
        faultsOf(await login({ email: ada.email, username: ada.email, password: PASSWORD })),
      ).to.deep.equal(['body']);
      expect(faultsOf(await login('', form))).to.include('body.password');
      expect(faultsOf(await login(`username=${ada.email}&password=a&password=b`, form))).to.deep.equal([
        'body.password',
      ]);
    });
  });

  describe('refreshing', () => {
    it('gives a new pair, and both access tokens work until they end', async () => {
      const { status, body } = await refresh(ada.refreshToken);
      expect(status).to.equal(200);
      expect(body.refresh_token).not.to.equal(ada.refreshToken);
      expect(await works(body.access_token)).to.be.true;
      expect((await refresh(body.refresh_token)).status).to.equal(200);
    });

    it('ends the whole family when a spent token is used again', async () => {
      const bystander = await logIn(world.url, ada);
      const second = (await refresh(ada.refreshToken)).body;
      const third = (await refresh(second.refresh_token)).body;
      expectProblem(await refresh(ada.refreshToken), 401);
      expectProblem(await refresh(third.refresh_token), 401);
      for (const token of [ada.token, second.access_token, third.access_token])
        expect(await works(token)).to.be.false;
      expect(await works(bystander.token)).to.be.true;
    });

    it('gives twenty with the same token at once the same new one, on every node', async () => {
      const second = await startAnotherNode(world, 'the second');
      try {
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, at) =>
            new Api(at % 2 ? second.url : world.url).post<Tokens>('/refresh', {
              refresh_token: ada.refreshToken,
            }),
          ),
        );
        for (const answer of answers) expect(answer.status).to.equal(200);
        expect(new Set(answers.map(({ body }) => body.refresh_token)).size).to.equal(1);
        for (const { body } of answers) expect(await works(body.access_token)).to.be.true;
        const [{ body }] = answers as [Answer<Tokens>];
        expect((await refresh(body.refresh_token)).status, 'the session goes on').to.equal(200);
        expect(await tokensOf(ada)).to.equal(3);
      } finally {
        await second.stop();
      }
    });

    it('gives the same pair again if the answer was lost, for thirty seconds', async () => {
      const { hostname, port } = new URL(world.url);
      const body = JSON.stringify({ refresh_token: ada.refreshToken });
      /** The sender is gone before it could be answered; on a busy machine, before it was read. */
      const lose = () =>
        new Promise<void>((resolve) => {
          const lost = connect(Number(port), hostname);
          lost.on('error', () => undefined);
          lost.on('close', () => resolve());
          lost.end(
            `POST /refresh HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
            () => lost.destroySoon(),
          );
        });
      await until('it to be used', async () => {
        await lose();
        return (await tokensOf(ada)) === 2;
      });
      const again = await refresh(ada.refreshToken);
      expect(again.status).to.equal(200);
      // Some seconds short of thirty, for a slow machine.
      await usedBefore(ada, 20);
      const later = await refresh(ada.refreshToken);
      expect(later.body.refresh_token).to.equal(again.body.refresh_token);
      expect(await works(later.body.access_token)).to.be.true;

      await usedBefore(ada, 11);
      expectProblem(await refresh(ada.refreshToken), 401);
      expect(await works(again.body.access_token)).to.be.false;
      expectProblem(await refresh(again.body.refresh_token), 401);
    });

    it('ends the session within the thirty seconds as well once the successor has been used', async () => {
      const { body } = await refresh(ada.refreshToken);
      expect((await refresh(ada.refreshToken)).body.refresh_token).to.equal(body.refresh_token);
      const third = (await refresh(body.refresh_token)).body;
      expectProblem(await refresh(ada.refreshToken), 401);
      expect(await works(third.access_token)).to.be.false;
    });

    it('ends the session of a token that a node of the version before has spent', async () => {
      await refresh(ada.refreshToken);
      await execute(world, `update refresh_tokens set successor_salt = null where ${ofUser}`, [ada.id]);
      expectProblem(await refresh(ada.refreshToken), 401);
      expect(await works(ada.token)).to.be.false;
    });

    it('keeps few tokens of a session that lives long, and ends it if one that is kept no more is used again', async () => {
      const other = await logIn(world.url, ada);
      const used = [ada.refreshToken];
      for (let round = 0; round < 12; round += 1) {
        used.push((await refresh(used.at(-1)!)).body.refresh_token);
        await usedBefore(ada, 31);
      }
      // The other session's, the one that was used last, and the one in hand.
      expect(await tokensOf(ada)).to.equal(3);
      expect(new Set(used).size).to.equal(13);
      const { body } = await refresh(used.at(-1)!);
      expect(await works(body.access_token)).to.be.true;

      expectProblem(await refresh(used[3]!), 401);
      expect(await works(body.access_token)).to.be.false;
      expectProblem(await refresh(body.refresh_token), 401);
      expect(await works(other.token)).to.be.true;
    });

    it('keeps every token within the thirty seconds, and takes away what was left by many refreshes', async () => {
      let { refresh_token: token } = (await refresh(ada.refreshToken)).body;
      for (let round = 0; round < 5; round += 1) token = (await refresh(token)).body.refresh_token;
      expect(await tokensOf(ada)).to.equal(7);
      await execute(
        world,
        `insert into refresh_tokens (hash, session_id, expires_at, spent_at, signed)
         select sha256(n::text::bytea), s.id, s.expires_at, now() - interval '1 hour', true
         from sessions s, generate_series(1, 150) n where s.user_id = $1`,
        [ada.id],
      );
      token = (await refresh(token)).body.refresh_token;
      expect(await tokensOf(ada), 'in bounded pieces').to.equal(58);
      await refresh(token);
      expect(await tokensOf(ada)).to.equal(9);
    });

    it('takes a token of the version before, keeps its row, and ends the session when it is used again', async () => {
      const old = randomBytes(32).toString('base64url');
      await execute(world, `update refresh_tokens set hash = $2, signed = false where ${ofUser}`, [
        ada.id,
        createHash('sha256').update(old).digest(),
      ]);
      let { body } = await refresh(old);
      expect((await refresh(old)).body.refresh_token).to.equal(body.refresh_token);
      for (let round = 0; round < 3; round += 1) {
        await usedBefore(ada, 31);
        ({ body } = await refresh(body.refresh_token));
      }
      expect(await tokensOf(ada)).to.equal(3);
      expect(await works(body.access_token)).to.be.true;
      expectProblem(await refresh(old), 401);
      expect(await works(body.access_token)).to.be.false;
    });

    it('ends no session for a token that somebody made up', async () => {
      const { body } = await refresh(ada.refreshToken);
      const session = body.refresh_token.slice(0, 22);
      for (const token of [
        session + randomBytes(64).toString('base64url').slice(0, 86),
        new RefreshTokens(['y'.repeat(32)]).create(crypto.randomUUID()).token,
        `${body.refresh_token.slice(0, -2)}--`,
        `${body.refresh_token}A`,
        session,
      ])
        expectProblem(await refresh(token), 401);
      expect(await works(body.access_token)).to.be.true;
      expect((await refresh(body.refresh_token)).status).to.equal(200);
    });

    it('refuses what is no refresh token, or has expired', async () => {
      for (const token of ['x', ada.token, ada.refreshToken.slice(1), `${ada.refreshToken}=`])
        expectProblem(await refresh(token), 401);
      expect(faultsOf(await world.anonymous.post('/refresh', {}))).to.deep.equal(['body.refresh_token']);
      expect((await refresh(ada.refreshToken)).status).to.equal(200);
      const late = await logIn(world.url, ada);
      await execute(
        world,
        `update refresh_tokens set expires_at = now() - interval '1 second' where ${ofUser}`,
        [ada.id],
      );
      expectProblem(await refresh(late.refreshToken), 401);
    });

    it('stores no token, only its hash', async () => {
      const [{ tokens } = { tokens: '' }] = await rows<{ tokens: string }>(
        world,
        `select string_agg(encode(hash, 'escape') || r::text, ' ') as tokens from refresh_tokens r`,
      );
      expect(tokens).not.to.be.empty;
      expect(tokens).not.to.contain(ada.refreshToken);
    });
  });

  describe('logging out', () => {
    it('ends this session and no other', async () => {
      const other = await logIn(world.url, ada);
      const answer = await ada.post<string>('/logout');
      expect(answer.status).to.equal(204);
      expect(answer.body).to.equal('');
      expect(await works(ada.token)).to.be.false;
      expectProblem(await refresh(ada.refreshToken), 401);
      expectProblem(await ada.post('/logout'), 401);
      expect(await works(other.token)).to.be.true;
      expect((await refresh(other.refreshToken)).status).to.equal(200);
    });

    it('ends all sessions of this user and nobody else’s', async () => {
      const bob = await world.user();
      const others = await Promise.all([1, 2, 3].map(() => logIn(world.url, ada)));
      expect((await ada.post('/logout/all')).status).to.equal(204);
      for (const session of [ada, ...others]) {
        expect(await works(session.token)).to.be.false;
        expectProblem(await refresh(session.refreshToken), 401);
      }
      expect(await works(bob.token)).to.be.true;
      expect(await works((await logIn(world.url, ada)).token)).to.be.true;
    });

    it('can be done twice at once', async () => {
      const statuses = (await Promise.all([1, 2, 3].map(() => ada.post('/logout')))).map(
        (answer) => answer.status,
      );
      for (const status of statuses) expect(status).to.be.oneOf([204, 401]);
      expect(statuses).to.include(204);
    });
  });

  it('opens no session with a password that has just been replaced', async () => {
    const attempts = Array.from({ length: 10 }, () => login({ email: ada.email, password: PASSWORD }));
    const change = ada.patch('/users/me', { password: 'another good one', current_password: PASSWORD });
    const answers = await Promise.all(attempts);
    expect((await change).status).to.equal(200);
    for (const answer of answers) {
      expect(answer.status).to.be.oneOf([200, 403]);
      if (answer.status === 200) {
        // It was opened before the change, and the change has ended it.
        expect(await works(answer.body.access_token)).to.be.false;
      }
    }
    expect(
      await numberOf(world, 'select count(*) from sessions where user_id = $1 and revoked_at is null', [
        ada.id,
      ]),
    ).to.equal(1);
  });
});

describe('a body that is held back until its session has ended', () => {
  let world: World;
  let moderator: TestUser;
  /** Session checks that have ended well. */
  let checks = 0;
  before(async () => {
    world = await createWorld();
    moderator = await world.user();
    await execute(world, "update users set role = 'moderator' where id = $1", [moderator.id]);
    const { liveSessions } = world.ctx;
    const require = liveSessions.require.bind(liveSessions);
    liveSessions.require = async (...args) => {
      await require(...args);
      checks += 1;
    };
  });
  after(() => world.close());

  const keyOf = async (user: TestUser) => {
    const given = { name: 'bot', scopes: ['write'], expires_in_days: 1, password: PASSWORD };
    const { status, body } = await user.post<NewApiKey>('/users/me/keys', given);
    expect(status).to.equal(201);
    return body;
  };
  /** Sends all of a post but its last byte. @returns sends that and tells the status, once its sender has been looked up */
  const heldPost = async (token: string, title: string) => {
    const before = checks;
    const body = JSON.stringify({ title, content: '' });
    const { hostname, port } = new URL(world.url);
    const socket = connect(Number(port), hostname);
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString())).on('error', () => undefined);
    socket.write(
      `POST /posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, -1)}`,
    );
    await until('the session to be looked up', () => checks > before);
    return async () => {
      socket.write(body.slice(-1));
      await until('an answer', () => heard.includes('\r\n\r\n'));
      socket.destroy();
      return Number(heard.split(' ')[1]);
    };
  };

  const endings: Record<string, (user: TestUser) => Promise<Answer>> = {
    'a logout': (user) => user.post('/logout'),
    'the end of the session by another': async (user) => {
      const other = await logIn(world.url, user);
      const { body } = await other.get<LoginSession[]>('/sessions');
      return other.delete(`/sessions/${body.find(({ current }) => !current)!.id}`);
    },
    'a new password': async (user) =>
      (await logIn(world.url, user)).patch('/users/me', {
        password: 'another good one',
        current_password: PASSWORD,
      }),
    'the deletion of the account': (user) => user.delete('/users/me', { password: PASSWORD }),
    'a suspension': ({ id }) =>
      moderator.post('/moderation/actions', { action: 'suspend', user_id: id, reason: 'spam' }),
  };
  for (const [what, end] of Object.entries(endings))
    it(`writes nothing after ${what}`, async () => {
      const user = await world.user();
      const title = `late after ${what}`;
      const finish = await heldPost(user.token, title);
      expect((await end(user)).status).to.be.within(200, 204);
      expect(await finish()).to.equal(401);
      expect(await numberOf(world, 'select count(*) from posts where title = $1', [title])).to.equal(0);
    });

  it('writes nothing after the API key was revoked', async () => {
    const user = await world.user();
    const { id, key } = await keyOf(user);
    const finish = await heldPost(key, 'late by a key');
    expect((await user.delete(`/users/me/keys/${id}`)).status).to.equal(204);
    expect(await finish()).to.equal(401);
    expect(await numberOf(world, "select count(*) from posts where title = 'late by a key'")).to.equal(0);
  });

  it('is written while the session lives, which is looked up once for a body that comes with its head', async () => {
    const user = await world.user();
    expect(await (await heldPost(user.token, 'slow'))()).to.equal(201);
    const before = checks;
    expect((await user.post('/posts', { title: 'at once', content: '' })).status).to.equal(201);
    expect(checks).to.equal(before + 1);
  });
});

describe('the work of a login', () => {
  let world: World;
  before(async () => {
    // Fifty milliseconds or so each: together several times as long as the reads.
    world = await createWorld({ BCRYPT_COST: '10' });
  });
  after(() => world.close());

  it('is bounded: a hundred at once do not stop the feed from being read', async () => {
    const ada = await world.user();
    let pending = 100;
    const logins = Array.from({ length: 100 }, async () => {
      const answer = await world.anonymous.post('/login', { email: ada.email, password: PASSWORD });
      pending -= 1;
      return answer;
    });
    let reads = 0;
    for (; reads < 10; reads += 1) expect((await ada.get('/posts')).status).to.equal(200);
    // The logins came first, and the reads went one after the other; yet they are done first.
    expect(pending, 'logins that are still under way after ten reads').to.be.greaterThan(0);
    const answers = await Promise.all(logins);
    expect(answers.filter((answer) => answer.status === 200)).not.to.be.empty;
    for (const answer of answers) {
      if (answer.status === 200) continue;
      expectProblem(answer, 429);
      expect(answer.headers.get('retry-after')).to.match(/^\d+$/);
    }
    await until('the queue to be free again', async () => {
      return (await world.anonymous.post('/login', { email: ada.email, password: PASSWORD })).status === 200;
    });
  });
});

describe('the time of a refused login', () => {
  const TRIES = 200;
  let world: World;
  before(async () => {
    // Cheap enough for so many tries, and yet nine tenths of an answer's time.
    world = await createWorld({ BCRYPT_COST: '8' });
  });
  after(() => world.close());

  /** The median of an unknown user’s answers by that of a wrong password’s. */
  async function ratio(email: string): Promise<number> {
    const took: Record<'unknown' | 'wrong', number[]> = { unknown: [], wrong: [] };
    const refused = async (kind: keyof typeof took, address: string) => {
      const began = performance.now();
      expectProblem(await login(address), 403, 'invalid_credentials');
      took[kind].push(performance.now() - began);
    };
    const login = (address: string) =>
      world.anonymous.post('/login', { email: address, password: 'not this one' });
    // In turns, so that whatever else the machine does meets both; and each is as often the first.
    for (let turn = 0; turn < TRIES; turn += 1) {
      const unknown = () => refused('unknown', `nobody${turn}@example.org`);
      const wrong = () => refused('wrong', email);
      for (const attempt of turn % 2 ? [unknown, wrong] : [wrong, unknown]) await attempt();
    }
    const median = (times: number[]) => times.sort((a, b) => a - b)[times.length / 2]!;
    return median(took.unknown) / median(took.wrong);
  }

  it('is the same whether the user exists or not', async () => {
    const ada = await world.user();
    const same = (value: number) => value > 0.9 && value < 1.1;
    let measured = await ratio(ada.email);
    // A machine that is busy in bursts may spoil a measurement; what the service gives away it gives away in each.
    for (let more = 3; more > 0 && !same(measured); more -= 1) measured = await ratio(ada.email);
    expect(measured).to.satisfy(same);
  });
});
