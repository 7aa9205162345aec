import { Validator } from '@seriousme/openapi-schema-validator';
import { expect } from 'chai';
import Joi from 'joi';
import { Secret, TOTP } from 'otpauth';
import { createApp, routes } from '../server/app.ts';
import { SchemaLibrary } from '../server/api/json-schema.ts';
import { type OpenApiDocument, openApiDocument, openApiPath } from '../server/docs/openapi.ts';
import { problem } from '../server/api/problem.ts';
import { oneOf, object } from '../server/api/schema.ts';
import { createResetLink } from '../server/auth/reset-link.ts';
import { createUndo } from '../server/mail/email-undos.ts';
import { createToken } from '../server/mail/tokens.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { TestProvider } from './support/oidc-provider.ts';
import { writePost } from './support/posts.ts';
import { numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { compileAt, DocumentedAnswers, schemaValidator } from './support/documented-answers.ts';
import { Api, type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

type Layer = { route?: { path: string | RegExp; methods: Record<string, boolean> } };

describe('the OpenAPI document', () => {
  const document = openApiDocument(routes, { version: '1.2.3', server: 'https://example.org' });

  it('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate({ ...structuredClone(document) });
    expect(result.errors).to.equal(undefined);
    expect(result.valid).to.equal(true);
  });

  it('has schemas that compile', () => {
    const ajv = schemaValidator(document);
    const names = Object.keys(document.components.schemas);
    expect(names).to.include.members(['Post', 'Problem', 'Login', 'Tokens']);
    for (const name of names) compileAt(ajv, 'components', 'schemas', name);
  });

  it('has examples that its schemas let through', () => {
    const { checked, faults } = checkExamples(document);
    expect(faults).to.deep.equal([]);
    expect(checked).to.be.greaterThan(20);
  });

  it('would be caught with an example that is none', () => {
    const wrong = structuredClone(document);
    const login = wrong.components.schemas.Login?.properties?.password;
    expect(login?.examples).to.be.an('array');
    if (login) login.examples = [42];
    expect(checkExamples(wrong).faults).to.have.lengthOf(1);
  });

  it('names each operation once and under a tag that it explains', () => {
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).to.equal(ids.length);
    const told = document.tags.map(({ name }) => name);
    expect(new Set(operations.flatMap(({ tags }) => tags))).to.have.all.keys(told);
  });

  it('tells of a token exactly where one is needed', () => {
    // What they take in the body may be refused as a token is.
    const ofTheirOwn = ['/refresh', '/password/reset', '/email/verify', '/email/undo', '/login/oidc/finish'];
    for (const { method, path, access, scope } of routes) {
      const told = document.paths[openApiPath(path)]?.[method];
      // An empty one says that none is needed; an API key is one more where it is let in.
      const ways = { anyone: 0, optional: 3, reader: 2, user: 2 }[access] + (scope === undefined ? 0 : 1);
      expect(told?.security?.length, `${method} ${path}`).to.equal(ways);
      const needed = /An API key needs the scope `(\w+)`\./.exec(told?.description ?? '')?.[1];
      expect(needed, `${method} ${path}`).to.equal(scope);
      expect(Boolean(told?.responses[401]), `${method} ${path}`).to.equal(
        access !== 'anyone' || ofTheirOwn.includes(path),
      );
    }
  });

  it('tells what linters and makers of clients look for', () => {
    const faults: string[] = [];
    const { servers } = document;
    expect(servers).to.deep.equal([{ url: 'https://example.org' }]);
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, told] of Object.entries(methods)) {
        const fault = (text: string) => faults.push(`${method} ${path} ${text}`);
        if (!told.security) fault('does not say who may');
        if (!told.description) fault('has no description');
        if (!Object.keys(told.responses).some((status) => status.startsWith('4'))) fault('has no 4xx');
        for (const { name, required, schema, example } of told.parameters ?? []) {
          // Beside a running server it has that numbering for an example.
          if (name === 'epoch') continue;
          if (required ? example === undefined : !schema.examples) fault(`${name} has no example`);
          if (!required && example !== undefined) fault(`${name} would be sent unasked`);
        }
        for (const [type, { example }] of Object.entries(told.requestBody?.content ?? {})) {
          if (example === undefined) fault(`${type} has no example`);
        }
      }
    }
    const walk = (node: unknown, at: string): void => {
      if (typeof node !== 'object' || node === null) return;
      if ('type' in node && node.type === 'integer') {
        const { maximum, format } = node as { maximum?: number; format?: string };
        const narrow = maximum !== undefined && maximum < 2 ** 31;
        if (!narrow && format !== 'int64') faults.push(`${at} has no format`);
      }
      for (const [key, inner] of Object.entries(node)) walk(inner, `${at}/${key}`);
    };
    walk(document.components.schemas, 'schemas');
    walk(document.paths, 'paths');
    for (const name of ['CreatePost', 'ReplacePost']) {
      const published = document.components.schemas[name]?.properties?.published;
      expect(published).not.to.have.property('default');
      expect(published?.description).to.include('Left out: `true`');
    }
    expect(faults).to.deep.equal([]);
  });

  it('tells the members of the problems that have more than the usual', () => {
    const ajv = schemaValidator(document);
    const problemOf = (path: string, status: number) =>
      compileAt(
        ajv,
        ...['paths', path, 'get', 'responses', String(status)],
        ...['content', 'application/problem+json', 'schema'],
      );
    const usual = { type: 'urn:x', title: 'x', status: 410, detail: 'x' };
    const place = { reason: 'future', epoch: '0b8b8f2e-6d0f-4d0e-9c39-2f6a1c1f7a51', head: 1 };
    const gone = problemOf('/events', 410);
    expect(gone({ ...usual, ...place })).to.equal(true);
    expect(gone(usual)).to.equal(false);
    expect(gone({ ...usual, ...place, reason: 'other' })).to.equal(false);
    const notReady = problemOf('/readyz', 503);
    expect(notReady({ ...usual, parts: { database: { status: 'down', reason: 'x' } } })).to.equal(true);
    expect(notReady({ ...usual, parts: { database: { status: 'away' } } })).to.equal(false);
  });

  it('tells what Joi leaves out of its own JSON Schema', () => {
    const { Login, EditUser } = document.components.schemas;
    const ajv = schemaValidator(document);
    const login = compileAt(ajv, 'components', 'schemas', 'Login');
    expect(login({ username: 'a@b.c', password: 'x' })).to.equal(true);
    expect(login({ email: 'a@b.c', password: 'x' })).to.equal(true);
    expect(login({ password: 'x' })).to.equal(false);
    expect(login({ username: 'a@b.c', email: 'a@b.c', password: 'x' })).to.equal(false);
    const edit = compileAt(ajv, 'components', 'schemas', 'EditUser');
    expect(edit({ username: 'ada' })).to.equal(true);
    // An account without a password has no current one.
    expect(edit({ password: PASSWORD })).to.equal(true);
    expect(edit({ password: PASSWORD, current_password: PASSWORD })).to.equal(true);
    expect(edit({ current_password: PASSWORD })).to.equal(false);
    expect([Login, EditUser].every(Boolean)).to.equal(true);
  });

  it('keeps null in an enum, and refuses what JSON Schema cannot tell', () => {
    const library = new SchemaLibrary('#/');
    const nullable = library.schema(oneOf('a', 'b').allow(null), 'output');
    expect(nullable.enum).to.have.members(['a', 'b', null]);
    expect(() => library.schema(object({ name: Joi.string().pattern(/x/i) }), 'input')).to.throw('/x/i');
    library.schema(object({ a: Joi.string() }).id('Twice'), 'input');
    expect(() => library.schema(object({ b: Joi.string() }).id('Twice'), 'input')).to.throw('"Twice"');
  });

  describe('beside a running server', () => {
    const provider = new TestProvider({ publicUrl: 'https://example.org' });
    let world: World;
    let answers: DocumentedAnswers;
    let served: OpenApiDocument;
    let alice: TestUser;
    let bob: TestUser;

    before(async () => {
      await provider.start();
      // Nobody takes the mails.
      world = await createWorld({
        WEBHOOK_ALLOW_PRIVATE: 'on',
        SMTP_URL: 'smtp://127.0.0.1:1',
        MAIL_FROM: 'news@example.org',
        PUBLIC_URL: 'https://example.org',
        ...provider.settings,
      });
      alice = await world.user('alice');
      bob = await world.user('bob');
      served = (await world.anonymous.get<OpenApiDocument>('/openapi.json')).body;
      answers = new DocumentedAnswers(served);
    });
    after(async () => {
      await world.close();
      await provider.stop();
    });

    /** Asks, and fails unless the document tells of all of the answer. */
    async function ask<T = never>(
      who: Api,
      method: string,
      path: string,
      body?: unknown,
      headers?: Record<string, string>,
    ): Promise<Answer<T>> {
      const answer = await who.request<T>(method.toUpperCase(), path, body, headers);
      expect(answers.fault(method, path, answer)).to.equal(undefined);
      return answer;
    }

    it('is what the server serves, with the version of the package', () => {
      const { epoch } = world.ctx.feed;
      const server = world.ctx.config.serviceUrl;
      const told = openApiDocument(routes, { version: '0.1.0', server, epoch });
      expect(served).to.deep.equal(structuredClone(told));
      expect(served.info.version).to.equal('0.1.0');
    });

    it('has every route that Express has mounted, and no other', () => {
      const { router } = createApp(world.ctx, { checks: [], draining: () => false });
      const mounted = (router as unknown as { stack: Layer[] }).stack.flatMap(({ route }) =>
        // The places of the page are a pattern.
        typeof route?.path === 'string'
          ? Object.keys(route.methods).map((method) => `${method} ${openApiPath(route.path as string)}`)
          : [],
      );
      const told = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method} ${path}`),
      );
      expect(mounted).to.have.members(told);
      expect(new Set(mounted).size).to.equal(mounted.length);
    });

    it('tells of every success as it is', async () => {
      const name = 'carol';
      const email = 'carol@example.org';
      const carol = { email, password: PASSWORD };
      await ask(world.anonymous, 'post', '/users', { ...carol, username: name });
      await ask(world.anonymous, 'post', '/password/forgot', { email });
      // Its link would take the place of the operator's.
      await until(
        'the request to be looked at',
        async () => (await numberOf(world, 'select count(*) from reset_requests')) === 0,
      );
      const token = await world.ctx.db.transaction(async (tx) => {
        const { link } = await createResetLink(tx, name, '');
        return link.replace(/^.*=/, '');
      });
      await ask(world.anonymous, 'post', '/password/reset', { token, password: PASSWORD });
      const form = new URLSearchParams({ username: email, password: PASSWORD }).toString();
      const type = { 'content-type': 'application/x-www-form-urlencoded' };
      type Tokens = { access_token: string; refresh_token: string };
      const login = () => ask<Tokens>(world.anonymous, 'post', '/login', form, type);
      const { body: first } = await login();
      const { body: renewed } = await ask<Tokens>(world.anonymous, 'post', '/refresh', {
        refresh_token: first.refresh_token,
      });
      let me = new Api(world.url, renewed.access_token);
      await ask(me, 'post', '/logout');
      me = new Api(world.url, (await login()).body.access_token);
      await ask(me, 'post', '/logout/all');
      me = new Api(world.url, (await login()).body.access_token);
      await login();
      const { body: sessions } = await ask<{ id: string }[]>(me, 'get', '/sessions?limit=1');
      await ask(me, 'delete', `/sessions/${sessions[0]!.id}`);
      const { body: self } = await ask<{ id: number }>(me, 'get', '/users/me');
      await ask(me, 'post', '/email/verify/request');
      const proof = await world.ctx.db.transaction((tx) =>
        createToken(tx, { userId: self.id, purpose: 'verify', email, proves: email }, 60_000),
      );
      await ask(world.anonymous, 'post', '/email/verify', { token: proof });
      const back = await world.ctx.db.transaction((tx) =>
        createUndo(tx, { userId: self.id, email, key: email, proved: true }),
      );
      await ask(world.anonymous, 'post', '/email/undo', { token: back });
      const account = await ask(me, 'patch', '/users/me', { username: 'caroline' });
      const same = { 'if-none-match': account.headers.get('etag') ?? '' };
      await ask(me, 'get', '/users/me', undefined, same);
      await ask(world.anonymous, 'get', `/users/${self.id}`);
      await ask(world.anonymous, 'get', '/users/by-name/Caroline');

      for (const other of [alice, bob]) {
        await other.put(`/users/${self.id}/follow`);
        await ask(me, 'put', `/users/${other.id}/follow`);
        await ask(me, 'put', `/users/${other.id}/mute`);
      }
      await ask(me, 'get', `/users/${self.id}/followers?limit=1`);
      await ask(me, 'get', `/users/${self.id}/following?limit=1`);
      await ask(me, 'get', '/users/me/mutes?limit=1');
      await ask(me, 'get', '/users/me/export');
      const password = { password: PASSWORD };
      const { body: setup } = await ask<{ secret: string }>(me, 'post', '/users/me/totp', password);
      const code = TOTP.generate({ secret: Secret.fromBase32(setup.secret) });
      await ask(me, 'post', '/users/me/totp/confirm', { code });
      await ask(me, 'get', '/users/me/totp');
      await ask(me, 'delete', '/users/me/totp', password);
      await askAboutIdentities(me);
      const wanted = { name: 'a bot', scopes: ['read'], ...password };
      const { body: made } = await ask<{ id: string }>(me, 'post', '/users/me/keys', wanted);
      await ask(me, 'get', '/users/me/keys');
      await ask(me, 'delete', `/users/me/keys/${made.id}`);
      const hooks = '/users/me/webhooks';
      const to = { url: 'http://127.0.0.1:1/hook', topics: ['home'], password: PASSWORD };
      const { body: hook } = await ask<{ id: string }>(me, 'post', hooks, to);
      await ask(me, 'get', hooks);
      await ask(me, 'get', `${hooks}/${hook.id}`);
      await ask(me, 'patch', `${hooks}/${hook.id}`, { topics: null });
      await ask(me, 'post', `${hooks}/${hook.id}/secret`, { password: PASSWORD });
      await ask(me, 'post', `${hooks}/${hook.id}/ping`);
      await ask(me, 'post', `${hooks}/${hook.id}/replay`, { after: 0 });
      await until(
        'a failure',
        async () => (await me.get<unknown[]>(`${hooks}/${hook.id}/failures`)).body.length > 0,
      );
      await ask(me, 'get', `${hooks}/${hook.id}/failures`);
      await ask(me, 'delete', `${hooks}/${hook.id}`);
      await Promise.all([alice, bob].map(({ id }) => ask(me, 'put', `/users/${id}/block`)));
      await ask(me, 'get', '/users/me/blocks?limit=1');
      for (const kind of ['follow', 'block', 'mute'])
        for (const { id } of [alice, bob]) await ask(me, 'delete', `/users/${id}/${kind}`);

      const { body: post } = await ask<{ id: number }>(me, 'post', '/posts', { title: 'One', content: '' });
      await ask(me, 'post', '/posts', { title: 'Two', content: '' });
      await ask(me, 'post', '/posts', { title: 'Three', content: 'more', published: false });
      const one = `/posts/${post.id}`;
      await ask(bob, 'get', '/posts?limit=1');
      const { headers } = await ask(me, 'get', one);
      const known = { 'if-none-match': headers.get('etag') ?? '' };
      await ask(me, 'get', one, undefined, known);
      const any = { 'if-none-match': '*' };
      for (const path of ['/posts?limit=1', `/users/${bob.id}`, `/users/by-name/${bob.username}`])
        await ask(me, 'get', path, undefined, any);
      await ask(me, 'put', one, { title: 'Once', content: 'again' });
      await ask(me, 'patch', one, { content: 'and again' });
      await ask(bob, 'post', '/vote', { post_id: post.id, dir: 1 });
      await ask(bob, 'put', `${one}/vote`);
      await ask(bob, 'delete', `${one}/vote`);
      for (const content of ['An answer', 'Another']) await ask(bob, 'post', `${one}/replies`, { content });
      await ask(me, 'get', `${one}/replies?limit=1`);
      await ask(me, 'get', `${one}/replies?limit=1`, undefined, any);
      await ask(me, 'get', '/notifications?limit=1');
      await ask(me, 'put', '/notifications/read', { up_to: 1 });
      await world.ctx.db.transaction((tx) => grantRole(tx, 'caroline', 'moderator', ''));
      const { id: spammer } = await world.user();
      const end = '2100-01-01T00:00:00Z';
      await ask(me, 'post', '/moderation/actions', {
        action: 'suspend',
        user_id: spammer,
        reason: 'spam',
        until: end,
      });
      await ask(me, 'get', '/moderation/log?limit=1');
      const spam = await writePost(bob);
      for (const path of [`/posts/${spam.id}/report`, `/users/${bob.id}/report`])
        await ask(me, 'put', path, { reason: 'spam', note: 'again' });
      await ask(me, 'get', '/moderation/cases?limit=1');
      await ask(me, 'delete', one);
      await ask(bob, 'get', '/events?after=0');
      await askForStream();
      const prolific = await world.user();
      for (const title of ['one', 'two', 'three']) await prolific.post('/posts', { title, content: '' });
      const { accountTasks } = world.ctx;
      const { piece, timeLimit } = accountTasks;
      Object.assign(accountTasks, { piece: 1, timeLimit: 0 });
      await ask(prolific, 'delete', '/users/me', { password: PASSWORD });
      Object.assign(accountTasks, { piece, timeLimit });
      await ask(me, 'delete', '/users/me', { password: PASSWORD });

      for (const path of [
        '/healthz',
        '/readyz',
        '/metrics',
        '/robots.txt',
        '/openapi.json',
        '/asyncapi.json',
      ]) {
        await ask(world.anonymous, 'get', path);
      }
      for (const path of ['/docs', '/redoc', '/asyncapi']) await ask(world.anonymous, 'get', path);
      await ask(world.anonymous, 'get', '/', undefined, { accept: 'application/json' });

      const successes = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).flatMap(([method, { responses }]) =>
          Object.keys(responses)
            .filter((status) => Number(status) < 400)
            .map((status) => `${method} ${path} ${status}`),
        ),
      );
      expect([...answers.seen]).to.include.members(successes);
    });

    /** Links an identity, logs in with it and unlinks it. */
    async function askAboutIdentities(me: Api): Promise<void> {
      type Begun = { authorization_url: string; secret: string };
      const password = { password: PASSWORD };
      const finished = async (begun: Begun) => ({
        response: await provider.visit(begun.authorization_url, 'caroline'),
        secret: begun.secret,
      });
      const link = await ask<Begun>(me, 'post', '/users/me/identities/begin', password);
      const linked = await ask<{ id: number }>(me, 'post', '/users/me/identities', await finished(link.body));
      const login = await finished((await ask<Begun>(world.anonymous, 'post', '/login/oidc', {})).body);
      const back = await fetch(`${world.url}/login/oidc/callback?${login.response}`, { redirect: 'manual' });
      const { status, headers } = back;
      const answer = { status, headers, body: await back.text() };
      expect(answers.fault('get', '/login/oidc/callback', answer)).to.equal(undefined);
      await ask(world.anonymous, 'post', '/login/oidc/finish', login);
      await ask(me, 'get', '/users/me/identities');
      await ask(me, 'delete', `/users/me/identities/${linked.body.id}`, password);
    }

    /** The one answer without an end: as much as its head tells. */
    async function askForStream(): Promise<void> {
      const ended = new AbortController();
      const response = await fetch(`${world.url}/events/stream`, {
        headers: { authorization: `Bearer ${bob.token}` },
        signal: ended.signal,
      });
      const answer = { status: response.status, headers: response.headers, body: '' };
      ended.abort();
      expect(answers.fault('get', '/events/stream', answer)).to.equal(undefined);
    }

    it('tells of refusals as they are', async () => {
      const { body: post } = await ask<{ id: number }>(alice, 'post', '/posts', {
        title: 'Mine',
        content: '',
      });
      const one = `/posts/${post.id}`;
      const login = { email: alice.email, password: 'something else' };
      const stale = { 'if-match': '"never"' };
      const key = { 'idempotency-key': 'one' };
      await ask(alice, 'post', '/posts', { title: 'Kept', content: '' }, key);
      const refusals: [number, Answer][] = [
        [400, await ask(alice, 'get', '/posts/%ff')],
        [401, await ask(world.anonymous, 'get', '/posts')],
        [401, await ask(world.anonymous, 'post', '/refresh', { refresh_token: 'none' })],
        [403, await ask(world.anonymous, 'post', '/login', login)],
        [403, await ask(bob, 'patch', one, { title: 'Yours' })],
        [404, await ask(alice, 'get', '/posts/999999')],
        [404, await ask(world.anonymous, 'get', '/users/999999')],
        [404, await ask(alice, 'post', '/vote', { post_id: 999_999, dir: 1 })],
        [409, await ask(world.anonymous, 'post', '/users', { email: alice.email, password: PASSWORD })],
        [410, await ask(alice, 'get', '/events?after=999999')],
        [412, await ask(alice, 'patch', one, { title: 'Again' }, stale)],
        [413, await ask(alice, 'post', '/posts', { title: 'x'.repeat(300_000), content: '' })],
        [415, await ask(alice, 'post', '/posts', '<a/>', { 'content-type': 'text/xml' })],
        [422, await ask(alice, 'post', '/posts', { titel: 'Hello' })],
        [422, await ask(alice, 'post', '/posts', { title: 'Other', content: '' }, key)],
        [422, await ask(alice, 'get', '/posts?limit=0')],
      ];
      for (const [status, answer] of refusals) expect(answer.status).to.equal(status);
    });

    it('catches an answer that it does not tell of', async () => {
      const { body: post } = await alice.post<Record<string, unknown>>('/posts', {
        title: 'Odd',
        content: '',
      });
      const odd = await alice.get<Record<string, unknown>>(`/posts/${String(post.id)}`);
      const path = `/posts/${String(post.id)}`;
      expect(answers.fault('get', path, odd)).to.equal(undefined);
      const more = { ...odd, body: { ...odd.body, secret: 1 } };
      expect(answers.fault('get', path, more)).to.include('additional properties');
      expect(answers.fault('get', path, { ...odd, status: 418 })).to.include('418');
      expect(answers.fault('get', '/nowhere', odd)).to.include('/nowhere');
      expect(answers.fault('get', path, { ...odd, headers: new Headers() })).to.include('ETag');
    });
  });

  it('tells of a 429 as it is', async () => {
    const world = await createWorld({ RATE_LIMITS: 'on' });
    try {
      const answers = new DocumentedAnswers(document);
      let answer: Answer;
      let asked = 0;
      do {
        answer = await world.anonymous.post<unknown>('/users', {});
        asked += 1;
      } while (answer.status === 422 && asked < 100);
      expect(answer.status).to.equal(429);
      expect(answers.fault('post', '/users', answer)).to.equal(undefined);
    } finally {
      await world.close();
    }
  });

  it('tells every refusal in the shape of a problem', () => {
    const problemKeys = Object.keys((problem.describe() as { keys: object }).keys);
    for (const { method, path, answers } of routes) {
      for (const [status, answer] of Object.entries(answers)) {
        if (Number(status) < 400) continue;
        expect(typeof answer, `${method} ${path} ${status}`).to.equal('object');
        if (typeof answer === 'string') continue;
        const keys = Object.keys((answer.describe() as { keys: object }).keys);
        expect(keys, `${method} ${path} ${status}`).to.include.members(problemKeys);
      }
    }
  });
});

/** Every example in the document against the schema that it stands beside. */
function checkExamples(document: OpenApiDocument): { checked: number; faults: string[] } {
  const ajv = schemaValidator(document);
  const faults: string[] = [];
  let checked = 0;
  const check = (example: unknown, path: string[]) => {
    checked += 1;
    if (!compileAt(ajv, ...path)(example)) faults.push(`${path.join('/')}: ${JSON.stringify(example)}`);
  };
  const walk = (node: unknown, path: string[]): void => {
    if (typeof node !== 'object' || node === null) return;
    if ('examples' in node && Array.isArray(node.examples)) {
      for (const example of node.examples) check(example, path);
    }
    if ('schema' in node && 'example' in node) check(node.example, [...path, 'schema']);
    if ('schema' in node && 'examples' in node) {
      for (const { value } of Object.values(node.examples as Record<string, { value: unknown }>)) {
        check(value, [...path, 'schema']);
      }
    }
    for (const [key, inner] of Object.entries(node)) walk(inner, [...path, key]);
  };
  walk(document, []);
  return { checked, faults };
}
