import { expect } from 'chai';
import { createHmac, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { routes } from '../server/app.ts';
import { RefreshTokens } from '../server/auth/refresh-tokens.ts';
import { AccessTokens } from '../server/auth/tokens.ts';
import { expectProblem } from './support/problems.ts';
import { writePost } from './support/posts.ts';
import { refusalOf } from './support/sockets.ts';
import { rows } from './support/tables.ts';
import { Api, createWorld, logIn, PASSWORD, type TestUser, type World } from './support/world.ts';

const SECRET = randomBytes(32).toString('base64');
const RETIRED = randomBytes(32).toString('base64');

const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** A token made by hand, since no library would sign most of these. */
function forge(header: object, claims: unknown, key = SECRET, hash = 'sha256'): string {
  const signed = `${encode({ typ: 'JWT', ...header })}.${encode(claims)}`;
  return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
}

const seconds = () => Math.floor(Date.now() / 1000);

describe('access tokens', () => {
  let world: World;
  let ada: TestUser;
  let sid: string;
  before(async () => {
    world = await createWorld({ JWT_SECRET: `${SECRET},${RETIRED}` });
    ada = await world.user();
    await writePost(ada);
    sid = (jwt.decode(ada.token) as { sid: string }).sid;
  });
  after(() => world.close());

  const claims = (changes: object = {}) => ({
    use: 'access',
    sid,
    sub: String(ada.id),
    iss: 'tidings',
    aud: 'tidings',
    iat: seconds(),
    exp: seconds() + 600,
    ...changes,
  });
  const without = (name: string) =>
    Object.fromEntries(Object.entries(claims()).filter(([key]) => key !== name));
  const me = (token: string) => new Api(world.url, token).get('/users/me');

  it('made by this hand like the service makes them are let in', async () => {
    // The control: what is refused below is refused for its fault, not for how it was made.
    expect((await me(forge({ alg: 'HS256' }, claims()))).status).to.equal(200);
  });

  it('are let in under a key that verifies though it signs no more', async () => {
    expect((await me(forge({ alg: 'HS256' }, claims(), RETIRED))).status).to.equal(200);
    expect(() => jwt.verify(ada.token, RETIRED)).to.throw();
    jwt.verify(ada.token, SECRET);
  });

  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const header = { alg: 'HS256' };

  const refused: Record<string, () => string> = {
    empty: () => '',
    garbage: () => 'garbage',
    'three parts of garbage': () => 'a.b.c',
    'of two parts': () => ada.token.split('.').slice(0, 2).join('.'),
    'of two parts and a dot': () => `${ada.token.split('.').slice(0, 2).join('.')}.`,
    'of four parts': () => `${ada.token}.${ada.token.split('.')[2]}`,
    'very long': () => forge(header, claims({ note: 'x'.repeat(4000) })),
    expired: () => forge(header, claims({ exp: seconds() - 1 })),
    'that ends this second': () => forge(header, claims({ exp: seconds() })),
    'not yet valid': () => forge(header, claims({ nbf: seconds() + 600 })),
    'with alg none': () => `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims())}.`,
    'with alg None and a signature': () => forge({ alg: 'None' }, claims()),
    'with alg NONE': () => `${encode({ alg: 'NONE' })}.${encode(claims())}.`,
    'with alg HS512': () => forge({ alg: 'HS512' }, claims(), SECRET, 'sha512'),
    'with alg HS512 and an HS256 signature': () => forge({ alg: 'HS512' }, claims()),
    'with alg RS256': () => jwt.sign(claims(), privateKey, { algorithm: 'RS256' }),
    'with alg RS256 and an HS256 signature': () => forge({ alg: 'RS256' }, claims()),
    'signed with a public key as the secret': () => forge(header, claims(), pem),
    'without an alg': () => forge({}, claims()),
    'with a kid that names an empty file': () => forge({ ...header, kid: '/dev/null' }, claims(), ''),
    'with a kid that names another key': () => forge({ ...header, kid: "x' or '1'='1" }, claims(), 'x'),
    'with a jku of the attacker’s': () =>
      jwt.sign(claims(), privateKey, {
        algorithm: 'RS256',
        header: { alg: 'RS256', jku: `${world.url}/jwks` },
      }),
    'with its own key in the header': () =>
      jwt.sign(claims(), privateKey, {
        algorithm: 'RS256',
        header: { alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }) } as jwt.JwtHeader,
      }),
    'under a wrong key': () => forge(header, claims(), randomBytes(32).toString('base64')),
    'under the key with a newline': () => forge(header, claims(), `${SECRET}\n`),
    'with a tampered signature': () => ada.token.slice(0, -3) + (ada.token.endsWith('AAA') ? 'BBB' : 'AAA'),
    'with tampered claims': () => {
      const [head, , signature] = ada.token.split('.');
      return `${head}.${encode(claims({ sub: '1' }))}.${signature}`;
    },
    'without exp': () => forge(header, without('exp')),
    'with an exp of text': () => forge(header, claims({ exp: String(seconds() + 600) })),
    'with an exp of null': () => forge(header, claims({ exp: null })),
    'with a fractional exp': () => forge(header, claims({ exp: seconds() + 600.5 })),
    'with an exp beyond numbers': () =>
      forge(header, `${JSON.stringify(claims()).slice(0, -1)},"exp":1e999}`),
    'without sub': () => forge(header, without('sub')),
    ...Object.fromEntries(
      [
        0,
        1,
        -1,
        1.5,
        null,
        true,
        [],
        ['1'],
        {},
        '',
        '0',
        '-1',
        '+1',
        '01',
        '1.0',
        '1e0',
        ' 1',
        '0x1',
        '1;',
        'me',
        '9007199254740993',
        '9223372036854775808',
      ].map((sub) => [`with the sub ${JSON.stringify(sub)}`, () => forge(header, claims({ sub }))]),
    ),
    'with the user’s id as a number': () => forge(header, claims({ sub: ada.id })),
    'without sid': () => forge(header, without('sid')),
    'with a sid of a wrong type': () => forge(header, claims({ sid: [sid] })),
    'with a sid that is no uuid': () => forge(header, claims({ sid: '-'.repeat(36) })),
    'with the sid of no session': () => forge(header, claims({ sid: randomUUID() })),
    'of a user who never was': () => forge(header, claims({ sub: '987654321' })),
    'whose payload is a string': () => forge(header, JSON.stringify('access')),
    'whose payload is a list': () => forge(header, [claims()]),
    'whose payload is null': () => forge(header, 'null'),
    'whose payload is no JSON': () => forge(header, 'nothing'),
    'of another issuer': () => forge(header, claims({ iss: 'somebody' })),
    'without an issuer': () => forge(header, without('iss')),
    'for another audience': () => forge(header, claims({ aud: 'somebody' })),
    'without an audience': () => forge(header, without('aud')),
    'of another use': () => forge(header, claims({ use: 'refresh' })),
    'without a use': () => forge(header, without('use')),
    'that are refresh tokens': () => ada.refreshToken,
  };
  for (const [what, token] of Object.entries(refused)) {
    it(`${what} are refused`, async () => {
      expectProblem(await me(token()), 401, 'unauthorized');
      // A handshake is an input with fields, of which a token too long to be one is a fault.
      expect(await refusalOf(world.socket({ token: token() }))).to.include(
        what === 'very long'
          ? { status: 422, type: 'urn:tidings:problem:invalid' }
          : { status: 401, type: 'urn:tidings:problem:unauthorized' },
      );
    });
  }

  it('of one user do not open another’s session', async () => {
    const bob = await world.user();
    expectProblem(await me(forge(header, claims({ sub: String(bob.id) }))), 401);
    // Nor when the session has just been used, and is remembered.
    expect((await ada.get('/users/me')).status).to.equal(200);
    expectProblem(await me(forge(header, claims({ sub: String(bob.id) }))), 401);
  });

  it('are not refresh tokens', async () => {
    expectProblem(await world.anonymous.post('/refresh', { refresh_token: ada.token }), 401);
  });

  it('are looked for in the Authorization header, as a Bearer, and nowhere else', async () => {
    for (const authorization of [
      ada.token,
      `Basic ${Buffer.from(`${ada.email}:${PASSWORD}`).toString('base64')}`,
      `Token ${ada.token}`,
      `Bearer${ada.token}`,
      `Bearer "${ada.token}"`,
      `Bearer ${ada.token} ${ada.token}`,
      `Bearer ${ada.token},`,
      'Bearer',
      'Bearer  ',
    ])
      expectProblem(await world.anonymous.get('/users/me', { authorization }), 401);
    for (const place of ['access_token', 'token', 'authorization'])
      expectProblem(await world.anonymous.get(`/users/me?${place}=${ada.token}`), 401);
    expectProblem(
      await world.anonymous.get('/users/me', {
        cookie: `access_token=${ada.token}`,
        'x-access-token': ada.token,
      }),
      401,
    );
    expectProblem(
      await world.anonymous.post('/posts', { title: 'a', content: '', access_token: ada.token }),
      401,
    );
    expect(
      (await world.anonymous.get('/users/me', { authorization: `bearer ${ada.token}` })).status,
    ).to.equal(200);
  });

  describe('wherever a user is needed', () => {
    const guarded = routes.filter((route) => route.access === 'user' || route.access === 'reader');

    /** Tokens that were good once or look good, each of a kind. */
    const dead: Record<string, () => Promise<string | undefined>> = {
      'no token': () => Promise.resolve(undefined),
      'an expired token': () => Promise.resolve(forge(header, claims({ exp: seconds() - 1 }))),
      'an unsigned token': () => Promise.resolve(refused['with alg none']!()),
      'a token under a wrong key': () => Promise.resolve(refused['under a wrong key']!()),
      'a refresh token': () => Promise.resolve(ada.refreshToken),
      'a token of a session that was logged out': async () => {
        const user = await world.user();
        await user.get('/users/me'); // so that the session is remembered
        await user.post('/logout');
        return user.token;
      },
      'a token from before a new password': async () => {
        const user = await world.user();
        const other = await logIn(world.url, user);
        await user.get('/users/me');
        await other.patch('/users/me', { password: 'another good one', current_password: PASSWORD });
        return user.token;
      },
      'a token of a deleted user': async () => {
        const user = await world.user();
        await user.get('/users/me');
        await user.delete('/users/me', { password: PASSWORD });
        return user.token;
      },
    };

    it('there are routes to try', () => {
      expect(guarded.length).to.be.greaterThan(10);
    });

    it('none of the others does either, for whichever route', async () => {
      const counted = async () =>
        (await rows(world, 'select count(*) from sessions where revoked_at is null'))[0];
      const before = await counted();
      for (const [what, token] of Object.entries(refused)) {
        const api = new Api(world.url, token());
        const answers = await Promise.all(
          guarded.map(({ method, path }) =>
            api.request<object>(
              method.toUpperCase(),
              path.replaceAll(/:\w+/g, '1'),
              method === 'get' ? undefined : {},
            ),
          ),
        );
        for (const [at, answer] of answers.entries()) {
          expect(answer.status, `${what} for ${guarded[at]!.method} ${guarded[at]!.path}`).to.equal(401);
          expectProblem(answer, 401, 'unauthorized');
        }
      }
      expect(await counted()).to.deep.equal(before);
    });

    for (const [what, make] of Object.entries(dead)) {
      describe(what, () => {
        let token: string | undefined;
        let earlier: object[];
        const state = () =>
          rows(
            world,
            `select (select count(*) from posts) as posts, (select sum(version) from posts) as versions,
                    (select count(*) from votes) as votes, (select count(*) from users) as users,
                    (select count(*) from sessions where revoked_at is null) as sessions`,
          );
        before(async () => {
          token = await make();
          earlier = await state();
        });
        it('does not do at the handshake of a socket', async () => {
          expect(await refusalOf(world.socket(token === undefined ? {} : { token }))).to.include({
            status: 401,
          });
        });
        for (const { method, path } of guarded) {
          it(`does not do for ${method.toUpperCase()} ${path}`, async () => {
            const at = path.replaceAll(/:\w+/g, '1');
            const answer = await new Api(world.url, token).request(
              method.toUpperCase(),
              at,
              method === 'get'
                ? undefined
                : { title: 'x', content: 'y', post_id: 1, dir: 1, password: PASSWORD },
            );
            expectProblem(answer, 401, 'unauthorized');
            expect(await state()).to.deep.equal(earlier);
          });
        }
      });
    }
  });

  it('do not exist without a secret', () => {
    expect(() => new AccessTokens([], 1000)).to.throw('secret');
  });
});

describe('refresh tokens, while the secrets are exchanged', () => {
  const [old, young] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
  const session = randomUUID();

  it('name their session to anyone who knows the secret that signed them, and to nobody else', () => {
    const { token } = new RefreshTokens([old]).create(session);
    expect(new RefreshTokens([young, old]).sessionOf(token)).to.equal(session);
    expect(new RefreshTokens([young]).sessionOf(token)).to.equal(undefined);
  });

  it('have one successor that nodes find, whichever of the secrets they sign with', () => {
    const [token, salt] = [new RefreshTokens([old]).create(session).token, randomBytes(32)];
    const [given] = new RefreshTokens([old, young]).successorsOf(token, salt, session);
    expect(new RefreshTokens([young, old]).successorsOf(token, salt, session)[1]).to.deep.equal(given);
  });
});
