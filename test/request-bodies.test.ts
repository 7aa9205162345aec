import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc, { type Arbitrary } from 'fast-check';
import { routes } from '../server/app.ts';
import { scopes } from '../server/identity.ts';
import { reportReasons, userActions } from '../server/moderation/present.ts';
import { grantRole } from '../server/moderation/roles.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { isReservedName } from '../server/text/reserved-names.ts';
import { isVisible } from '../server/text/visible.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { type Answer, Api, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

/** Any text that can be kept: every plane of Unicode, but U+0000. */
const anyText = (maxLength: number, minLength = 0) =>
  fc
    .oneof(
      fc.string({ unit: 'binary', minLength, maxLength }),
      fc.string({ unit: 'grapheme', minLength, maxLength }),
      fc.string({
        unit: fc.constantFrom('$', '1', ':', '?', "'", '"', '\\', '%', '_', '\n', '{', '}', '&', '<'),
        minLength,
        maxLength,
      }),
    )
    .filter((text) => !text.includes('\0') && text.length >= minLength && text.length <= maxLength);
const title = anyText(200, 1).filter(isVisible);
const content = fc.oneof(
  anyText(300),
  fc.integer({ min: 9_000, max: 10_000 }).map((length) => 'ä'.repeat(length)),
);
const username = fc
  .stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{1,28}[A-Za-z0-9]$/)
  .filter((name) => !isReservedName(name));
const password = anyText(72, 8).filter((text) => Buffer.byteLength(text.normalize('NFC')) <= 72);
let addresses = 0;
/** No two alike, however often a case is repeated or shrunk. */
const email = fc
  .stringMatching(/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}$/)
  .map((local) => `${(addresses += 1)}.${local}@${addresses % 2 ? 'example.org' : 'Mail.Example.ORG'}`);

const post = fc.record({ title, content, published: fc.boolean() }, { requiredKeys: ['title', 'content'] });

const report = fc.record(
  { reason: fc.constantFrom(...reportReasons), note: anyText(1000) },
  { requiredKeys: ['reason'] },
);

interface Kind {
  valid: Arbitrary<object>;
  /** Sends a body to the route; `valid` ones must give this status. */
  status: number | readonly number[];
  /** Who sends it, and where to: a fresh user where the body would change the account. */
  send: (body: string) => Promise<Answer>;
  /** What a success must show of a valid body. */
  shows?: (body: object, answer: Answer) => Promise<void> | void;
}

describe('request bodies', () => {
  let world: World;
  let ada: TestUser;
  let own: PostAnswer;
  let thread: PostAnswer;
  let others: PostAnswer;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    own = await writePost(ada);
    thread = await writePost(ada);
    others = await writePost(await world.user());
    await world.ctx.db.transaction((tx) => grantRole(tx, ada.username, 'moderator', ''));
  });
  after(() => world.close());

  const json = { 'content-type': 'application/json' };
  const asAda = (method: string, path: () => string) => (body: string) =>
    new Api(world.url, ada.token).request<object>(method, path(), body, json);
  const asNobody = (path: string) => (body: string) =>
    world.anonymous.request<object>('POST', path, body, json);

  /** A post is answered byte for byte as it was sent, in the answer and whenever it is read. */
  async function sameText(body: object, answer: Answer): Promise<void> {
    const { id } = answer.body as PostAnswer;
    expect(answer.body).to.deep.include(body);
    const read = await ada.get<PostAnswer>(`/posts/${id}`);
    expect(read.body).to.deep.include(body);
    expect(JSON.stringify(read.body)).to.equal(JSON.stringify(answer.body));
  }

  const kinds: Record<string, Kind> = {
    'post /users': {
      valid: fc.record({ email, password, username }, { requiredKeys: ['email', 'password'] }),
      status: [201, 409], // another case may have made the same username
      send: asNobody('/users'),
      shows: async (body, answer) => {
        if (answer.status === 409) return;
        const sent = body as { email: string; password: string; username?: string };
        const { password: secret, ...rest } = sent;
        expect(answer.body).to.deep.include(rest);
        const login = await world.anonymous.post('/login', { email: sent.email, password: secret });
        expect(login.status, 'the password works as it was sent').to.equal(200);
      },
    },
    'patch /users/me': {
      valid: fc.oneof(
        fc.record({ username }),
        fc.record({ username, current_password: fc.constant(PASSWORD) }),
        fc.record({ email, current_password: fc.constant(PASSWORD) }),
      ),
      status: [200, 409],
      send: asAda('PATCH', () => '/users/me'),
      shows: (body, answer) => {
        const { current_password: _secret, ...rest } = body as { current_password?: string };
        if (answer.status === 200) expect(answer.body).to.deep.include(rest);
      },
    },
    'delete /users/me': {
      valid: fc.record({ password: anyText(100, 1).filter((text) => text !== PASSWORD) }),
      status: 403,
      send: asAda('DELETE', () => '/users/me'),
    },
    'post /users/me/totp': {
      valid: fc.record({ password: anyText(100, 1).filter((text) => text !== PASSWORD) }),
      status: 403,
      send: asAda('POST', () => '/users/me/totp'),
    },
    'post /users/me/totp/confirm': {
      valid: fc.record({ code: anyText(50, 1) }),
      status: 404,
      send: asAda('POST', () => '/users/me/totp/confirm'),
    },
    'post /users/me/webhooks': {
      valid: fc.record(
        {
          url: fc.webPath().map((path) => `https://hooks.invalid${path}`),
          topics: fc.subarray(['home', 'feed', 'thread:7']),
          after: fc.nat(),
          password: fc.constant('wrong'),
        },
        { requiredKeys: ['url', 'password'] },
      ),
      status: 403,
      send: asAda('POST', () => '/users/me/webhooks'),
    },
    'patch /users/me/webhooks/:id': {
      valid: fc.record({ paused: fc.boolean(), topics: fc.constantFrom(null, ['home']) }),
      status: 404,
      send: asAda('PATCH', () => `/users/me/webhooks/${randomUUID()}`),
    },
    'post /users/me/webhooks/:id/secret': {
      valid: fc.record({ password: fc.constant('wrong') }),
      status: 404,
      send: asAda('POST', () => `/users/me/webhooks/${randomUUID()}/secret`),
    },
    'post /users/me/webhooks/:id/replay': {
      valid: fc.record({ after: fc.nat() }),
      status: 404,
      send: asAda('POST', () => `/users/me/webhooks/${randomUUID()}/replay`),
    },
    'post /users/me/keys': {
      valid: fc.record(
        {
          name: anyText(80, 1).filter(isVisible),
          scopes: fc.uniqueArray(fc.constantFrom(...scopes), { minLength: 1 }),
          expires_in_days: fc.integer({ min: 1, max: 366 }),
          password: anyText(100, 1).filter((text) => text !== PASSWORD),
        },
        { requiredKeys: ['name', 'scopes', 'password'] },
      ),
      status: 403,
      send: asAda('POST', () => '/users/me/keys'),
    },
    'delete /users/me/totp': {
      valid: fc.record({ password: anyText(100, 1).filter((text) => text !== PASSWORD) }),
      status: 403,
      send: asAda('DELETE', () => '/users/me/totp'),
    },
    'post /login': {
      valid: fc.oneof(
        fc.record({ email: anyText(100, 1), password: anyText(100, 1) }),
        fc.record({
          username: anyText(100, 1),
          password: anyText(100, 1),
          grant_type: fc.constant('password'),
        }),
      ),
      status: 403,
      send: asNobody('/login'),
    },
    'post /refresh': {
      valid: fc.record({ refresh_token: anyText(512, 1) }),
      status: 401,
      send: asNobody('/refresh'),
    },
    'post /password/forgot': {
      valid: fc.record({ email: anyText(254, 1) }),
      status: 403, // no mail is sent here
      send: asNobody('/password/forgot'),
    },
    'post /password/reset': {
      valid: fc.record({ token: anyText(100, 1), password }),
      status: 401,
      send: asNobody('/password/reset'),
    },
    'post /email/verify': {
      valid: fc.record({ token: anyText(100, 1) }),
      status: 401,
      send: asNobody('/email/verify'),
    },
    'post /email/undo': {
      valid: fc.record({ token: anyText(100, 1) }),
      status: 401,
      send: asNobody('/email/undo'),
    },
    // No provider is configured.
    'post /login/oidc': {
      valid: fc.constant({ return_to: 'https://example.org/' }),
      status: 404,
      send: asNobody('/login/oidc'),
    },
    'post /login/oidc/finish': {
      valid: fc.record({ response: anyText(1000, 1), secret: anyText(100, 1) }),
      status: 404,
      send: asNobody('/login/oidc/finish'),
    },
    'post /users/me/identities/begin': {
      valid: fc.record({ password: anyText(100, 1) }),
      status: 404,
      send: asAda('POST', () => '/users/me/identities/begin'),
    },
    'post /users/me/identities': {
      valid: fc.record({ response: anyText(1000, 1), secret: anyText(100, 1) }),
      status: 404,
      send: asAda('POST', () => '/users/me/identities'),
    },
    'delete /users/me/identities/:id': {
      valid: fc.record({ password: anyText(100, 1).filter((text) => text !== PASSWORD) }),
      status: 403,
      send: asAda('DELETE', () => '/users/me/identities/1'),
    },
    'post /posts': { valid: post, status: 201, send: asAda('POST', () => '/posts'), shows: sameText },
    'post /posts/:id/replies': {
      valid: fc.record({ content: content.filter(isVisible) }),
      status: 201,
      send: asAda('POST', () => `/posts/${thread.id}/replies`),
      shows: sameText,
    },
    'put /posts/:id': {
      valid: post,
      status: 200,
      send: asAda('PUT', () => `/posts/${own.id}`),
      shows: sameText,
    },
    'patch /posts/:id': {
      valid: fc
        .record({ title, content, published: fc.boolean() }, { requiredKeys: [] })
        .filter((body) => Object.keys(body).length > 0),
      status: 200,
      send: asAda('PATCH', () => `/posts/${own.id}`),
      shows: sameText,
    },
    'put /notifications/read': {
      valid: fc.record({ up_to: fc.integer({ min: 0, max: 2 ** 53 - 1 }) }),
      status: 200,
      send: asAda('PUT', () => '/notifications/read'),
    },
    'put /posts/:id/report': {
      valid: report,
      status: 204,
      send: asAda('PUT', () => `/posts/${others.id}/report`),
    },
    'put /users/:id/report': {
      valid: report,
      status: 204,
      send: asAda('PUT', () => `/users/${others.owner_id}/report`),
    },
    'post /moderation/actions': {
      valid: fc.record({
        action: fc.constantFrom(...userActions),
        user_id: fc.integer({ min: 2 ** 32, max: 2 ** 53 - 1 }),
        reason: anyText(1000, 1).filter(isVisible),
      }),
      status: 404,
      send: asAda('POST', () => '/moderation/actions'),
    },
    'post /vote': {
      valid: fc.record({ post_id: fc.integer({ min: 1, max: 2 ** 53 - 1 }), dir: fc.constantFrom(0, 1) }),
      status: [201, 404, 409],
      send: asAda('POST', () => '/vote'),
    },
  };

  it('of every route that takes one are tried', () => {
    const taking = routes.filter((route) => route.body).map((route) => `${route.method} ${route.path}`);
    expect(Object.keys(kinds).sort()).to.deep.equal(taking.sort());
  });

  for (const [name, kind] of Object.entries(kinds)) {
    describe(name, () => {
      it('is done for every valid body, and shows it byte for byte', async () => {
        const statuses = [kind.status].flat();
        await fc.assert(
          fc.asyncProperty(kind.valid, async (body) => {
            const answer = await kind.send(JSON.stringify(body));
            expect(answer.status, JSON.stringify(answer.body)).to.be.oneOf(statuses);
            await kind.shows?.(body, answer);
          }),
          { numRuns: 40 },
        );
      });

      it('refuses what is not, with a problem that names the fault', async () => {
        await fc.assert(
          fc.asyncProperty(kind.valid.chain(mutated), async (body) => {
            const answer = await kind.send(JSON.stringify(body));
            // Some changes leave a body valid; whatever they make of it, it is never a fault of the server's.
            expect(answer.status, JSON.stringify(answer.body)).to.be.lessThan(500);
            if (answer.status >= 400) expectProblem(answer, answer.status);
          }),
          { numRuns: 80 },
        );
      });

      it('names a field that nobody knows, whatever its name and value', async () => {
        const unknown = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).map((key) => `x${key}`);
        await fc.assert(
          fc.asyncProperty(kind.valid, unknown, fc.jsonValue(), async (body, key, value) => {
            const answer = await kind.send(JSON.stringify({ ...body, [key]: value }));
            const problem = expectProblem(answer, 422, 'invalid');
            expect(problem.errors?.map((fault) => fault.loc)).to.deep.include(['body', key]);
          }),
          { numRuns: 20 },
        );
      });
    });
  }
});

/** A body with one thing wrong, or with everything. */
function mutated(body: object): Arbitrary<unknown> {
  const keys = Object.keys(body);
  const key = fc.constantFrom(...keys);
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(
      '',
      ' ',
      '\0',
      '\ud800',
      'x'.repeat(20_000),
      -1,
      0,
      0.5,
      2 ** 53,
      1e308,
      null,
      true,
      [],
      {},
    ),
    fc.string({ unit: 'binary', maxLength: 400 }),
  );
  return fc.oneof(
    key.map((name) => Object.fromEntries(Object.entries(body).filter(([other]) => other !== name))),
    fc.tuple(key, odd).map(([name, value]) => ({ ...body, [name]: value })),
    key.map((name) => ({ ...body, [name]: [(body as Record<string, unknown>)[name]] })),
    key.map((name) => ({ ...body, [name.toUpperCase()]: (body as Record<string, unknown>)[name] })),
    fc.tuple(fc.string({ maxLength: 20 }), odd).map(([name, value]) => ({ ...body, [name]: value })),
    fc.constant([body]),
    fc.constant(JSON.stringify(body)),
    odd,
  );
}
