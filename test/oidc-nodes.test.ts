import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { BegunLogin, LinkedIdentity } from '../server/auth/present.ts';
import type { Tokens } from '../server/auth/refresh.ts';
import { sessionPrunes } from '../server/auth/prune.ts';
import { TIME_LIMITS } from '../server/time-limits.ts';
import type { OwnUser } from '../server/users/present.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import type { NodeProcess } from './support/node-process.ts';
import { TestProvider } from './support/oidc-provider.ts';
import { expectProblem } from './support/problems.ts';
import { execute, numberOf } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { Api, createWorld, logIn, TestUser, type World } from './support/world.ts';

/** Longer than any test. Milliseconds. */
const PATIENT = 120_000;

describe('logins with an OpenID provider on two nodes', function () {
  this.timeout(180_000);
  const provider = new TestProvider();
  let world: World;
  let node: NodeProcess;
  before(async () => {
    await provider.start();
    world = await createWorld({ ...sharedSecret, ...provider.settings }, undefined, undefined, {
      provider: PATIENT,
    });
    node = await startAnotherNode(world, 'another', provider.settings);
  });
  afterEach(() => provider.speak());
  after(async () => {
    await node?.stop();
    await world?.close();
    await provider.stop();
    expect(node?.misconduct ?? []).to.deep.equal([]);
  });

  const person = () => {
    const sub = `sub-${randomUUID()}`;
    provider.users.set(sub, { email: `${sub}@example.org`, email_verified: true });
    return sub;
  };
  const begin = async (url: string) => {
    const { status, body } = await new Api(url).post<BegunLogin>('/login/oidc', {});
    expect(status).to.equal(201);
    return body;
  };
  /** Begins at one node, and is sent back by the other. */
  const cameBack = async (sub: string, from: string, over: string) => {
    const { authorization_url: url, secret } = await begin(from);
    const query = await provider.visit(url, sub);
    const answer = await fetch(`${over}/login/oidc/callback?${query}`, { redirect: 'manual' });
    expect(answer.status).to.equal(303);
    const { hash } = new URL(answer.headers.get('location') ?? '');
    return { response: decodeURIComponent(hash.slice('#oidc='.length)), secret };
  };
  const finish = (url: string, login: object) => new Api(url).post<Tokens>('/login/oidc/finish', login);
  const accountOf = async ({ access_token: token }: Tokens) =>
    (await new Api(node.url, token).get<OwnUser>('/users/me')).body;
  const newName = () => `n${randomUUID().slice(0, 8)}`;

  it('are begun at one and finished at the other, in either direction', async () => {
    const sub = person();
    const first = await cameBack(sub, world.url, node.url);
    // What the one node has proved, the other one knows: the code of the provider is good once.
    expectProblem(await finish(node.url, first), 403, 'username_required');
    const made = await finish(world.url, { ...first, username: newName() });
    expect(made.status).to.equal(200);
    const again = await finish(world.url, await cameBack(sub, node.url, world.url));
    expect(again.status).to.equal(200);
    expect((await accountOf(again.body)).id).to.equal((await accountOf(made.body)).id);
    for (const { url } of [world, node]) expectProblem(await finish(url, first), 401);
  });

  it('go on when the provider has changed its keys between two of them', async () => {
    const sub = person();
    expect(
      (await finish(node.url, { ...(await cameBack(sub, world.url, node.url)), username: newName() })).status,
    ).to.equal(200);
    expect((await finish(world.url, await cameBack(sub, node.url, world.url))).status).to.equal(200);
    for (const { url } of [node, world]) {
      provider.rotateKeys();
      expect((await finish(url, await cameBack(sub, world.url, node.url))).status).to.equal(200);
    }
  });

  it('are refused in time while the provider takes connections and says nothing, and can be finished after that', async () => {
    const sub = person();
    const login = { ...(await cameBack(sub, world.url, node.url)), username: newName() };
    provider.fallSilent();
    const watch = new Stopwatch();
    const refused = await finish(node.url, login);
    const { detail } = expectProblem(refused, 503, 'unavailable');
    expect(detail).to.include('Example Accounts cannot be reached or used at present');
    expect(refused.headers.get('retry-after')).to.match(/^\d+$/);
    // One request to the provider was not answered: that has a limit, and a busy machine as long again.
    expect(watch.ran).to.be.below(TIME_LIMITS.provider * 2);
    provider.speak();
    expect((await finish(node.url, login)).status).to.equal(200);
  });

  it('leave other logins and requests alone while the provider says nothing', async () => {
    const sub = person();
    const held = await cameBack(sub, node.url, world.url);
    provider.fallSilent();
    // This node waits longer than the test: what is answered meanwhile has waited for none of it.
    let answered = 0;
    const waiting = Array.from({ length: 20 }, () => finish(world.url, held).finally(() => (answered += 1)));
    await until('one of them to wait for the provider, and the others to be refused', () => answered === 19);
    const user = await world.user();
    expect((await logIn(world.url, user)).id).to.equal(user.id);
    expect((await user.post('/posts', { title: 'A post', content: 'meanwhile' })).status).to.equal(201);
    expect((await world.anonymous.get('/readyz')).status).to.equal(200);
    // What the provider said of itself is known: further logins begin.
    await begin(world.url);
    expect(answered).to.equal(19);
    provider.speak();
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(statuses.sort()).to.deep.equal([...Array.from({ length: 19 }, () => 401), 503]);
    expect((await finish(world.url, { ...held, username: newName() })).status).to.equal(200);
  });

  it('are dropped, the oldest first, beyond twenty thousand that have begun', async () => {
    await execute(world, 'delete from oidc_logins');
    await execute(
      world,
      `insert into oidc_logins (state_hash, secret_hash, content, expires_at)
       select sha256(n::text::bytea), ''::bytea, ''::bytea, now() + interval '5 minutes' + n * interval '1 ms'
       from generate_series(1, 20300) n`,
    );
    for (const prune of sessionPrunes) await prune.run(world.pool, 2000);
    expect(await numberOf(world, 'select count(*) from oidc_logins')).to.equal(20_000);
    const kept = (n: number) =>
      numberOf(world, 'select count(*) from oidc_logins where state_hash = sha256($1::bytea)', [`${n}`]);
    expect([await kept(300), await kept(301)]).to.deep.equal([0, 1]);
    await execute(world, 'delete from oidc_logins');
  });

  it('need an identity of the present provider: one of a former provider is no way in', async () => {
    const sub = person();
    const login = await cameBack(sub, world.url, node.url);
    const { body: tokens } = await finish(world.url, { ...login, username: newName() });
    const account = await accountOf(tokens);
    const user = new TestUser(world.url, account, tokens);
    await execute(
      world,
      `insert into identities (user_id, issuer, sub) values ($1, 'https://former.example', 'former')`,
      [account.id],
    );
    const { body: identities } = await user.get<LinkedIdentity[]>('/users/me/identities');
    const [present, former] = identities.map(({ id }) => `/users/me/identities/${id}`);
    expectProblem(await user.delete(present!, {}), 409, 'conflict');
    expect((await user.delete(former!, {})).status).to.equal(204);
    expectProblem(await user.delete(present!, {}), 409, 'conflict');
  });
});
