import { expect } from 'chai';
import type { Problem } from '../server/contract.ts';
import { RequestBuckets } from '../server/transports/socketio/token-buckets.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

type Answer = { ok: boolean; error?: Problem };

const many = (length: number) => Array.from({ length }, (_, at) => at + 1);
const keys = (length: number) => Object.fromEntries(many(length).map((at) => [`k${at}`, 1]));

describe('what costs more to be looked at than to be sent', () => {
  let world: World;
  let mallory: TestUser;

  before(async () => {
    world = await createWorld();
    mallory = await world.user('mallory');
  });
  afterEach(endRawClients);
  after(() => world.close());

  /** The payload, and the one fault that is notified of it before any schema has seen it. */
  const costly: [string, object, string, string][] = [
    ['a long list', { post_ids: Array.from({ length: 8000 }, () => 1) }, 'post_ids', 'array.max'],
    ['a long list of text', { post_ids: Array.from({ length: 4000 }, () => 'x') }, 'post_ids', 'array.max'],
    ['a long list of lists', { post_ids: Array.from({ length: 4000 }, () => []) }, 'post_ids', 'array.max'],
    ['a long list that nobody asked for', { post_ids: [1], more: many(2000) }, 'more', 'array.max'],
    ['many keys', { post_ids: [1], ...keys(1200) }, '', 'object.base'],
    ['a list for an object', many(3000), '', 'object.base'],
  ];

  for (const [what, payload, key, type] of costly)
    it(`is not looked at: ${what}`, async () => {
      const client = await RawClient.join(world.url, { token: mallory.token, feed: 'off', tallies: 'none' });
      const before = process.cpuUsage();
      for (const id of many(40)) client.emit('track', payload, id);
      for (const id of many(40)) {
        const { error } = (await client.acknowledged(id)) as Answer;
        expect(error?.status).to.equal(422);
        expect(error?.errors).to.have.lengthOf(1);
        expect(error?.errors?.[0]?.loc).to.deep.equal(key === '' ? ['payload'] : ['payload', key]);
        expect(error?.errors?.[0]?.type).to.equal(type);
      }
      // With the client's part, which is the same process. Joi alone took half a second and more for the long lists.
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1000).to.be.below(500);
    });

  const refusal = async (auth: object) => {
    const client = await RawClient.open(world.url);
    client.send(`40${JSON.stringify(auth)}`);
    await until('the refusal', () => client.frames.some((frame) => frame.startsWith('44')));
    const frame = client.frames.find((text) => text.startsWith('44')) ?? '';
    client.terminate();
    return (JSON.parse(frame.slice(2)) as { data: Problem }).data;
  };

  it('is not looked at in a handshake: who it is comes first, as in REST', async () => {
    expect((await refusal({ token: 'of nobody', after: -1, ...keys(1000) })).status).to.equal(401);
    for (const auth of [
      { token: mallory.token, ...keys(1000) },
      { token: 5, ...keys(1000) },
    ]) {
      const { status, errors } = await refusal(auth);
      expect(status).to.equal(422);
      expect(errors).to.deep.equal([{ loc: ['auth'], msg: '"auth" must be an object', type: 'object.base' }]);
    }
    for (const token of [5, ['x'], 'x'.repeat(5000)]) {
      const { status, errors } = await refusal({ token });
      expect(status).to.equal(422);
      expect(errors?.[0]?.loc).to.deep.equal(['auth', 'token']);
    }
  });
});

for (const limits of ['on', 'off'])
  describe(`what one user asks over many sockets, with limits ${limits}`, () => {
    let world: World;

    before(async () => {
      world = await createWorld({ RATE_LIMITS: limits });
    });
    afterEach(endRawClients);
    after(() => world.close());

    it(limits === 'on' ? 'is limited, and nobody else with it' : 'is not limited', async () => {
      const [alice, bob] = [await world.user('alice'), await world.user('bob')];
      const join = ({ token }: TestUser) =>
        RawClient.join(world.url, { token, feed: 'off', tallies: 'none' });
      const crowd = await Promise.all(many(30).map(() => join(alice)));
      const bystander = await join(bob);
      const began = performance.now();
      for (const client of crowd) for (const id of many(40)) client.emit('feed:mode', { mode: 'off' }, id);
      const answers = await Promise.all(
        crowd.flatMap((client) => many(40).map((id) => client.acknowledged(id) as Promise<Answer>)),
      );
      const seconds = (performance.now() - began) / 1000;
      bystander.emit('feed:mode', { mode: 'off' }, 1);
      expect(await bystander.acknowledged(1)).to.deep.include({ ok: true });
      const refused = answers.filter(({ ok }) => !ok);
      if (limits === 'off') {
        expect(refused).to.be.empty;
        return;
      }
      expect(answers.length - refused.length).to.be.within(400, 400 + Math.ceil(seconds * 200));
      for (const { error } of refused) expect(error).to.include({ status: 429, retry_after: 1 });
      for (const client of crowd) expect(client.closed).to.be.false;
    });
  });

describe('messages of sockets', () => {
  const budgets = new RequestBuckets(true);
  let began = 0;
  beforeEach(() => (began = performance.now()));
  /** Tokens that a user has been given meanwhile: a busy machine takes its time. */
  const regained = () => Math.ceil(((performance.now() - began) / 1000) * 200);
  const spend = (address: string, id: number, items = 0) => {
    const spent = many(1000).map(() => budgets.spend({ address, identity: { id } }, items));
    const count = (which?: string) => spent.filter((each) => each === which).length;
    return { allowed: count(), refusedToAddress: count('address') };
  };

  it('are the fewer for a user who names many posts', () => {
    const [fewer, spent, other] = [spend('x', 1, 500), spend('y', 1), spend('y', 2)];
    expect(fewer.allowed).to.be.within(67, 70 + regained());
    expect(spent.allowed).to.be.below(10 + regained());
    expect(other.allowed).to.be.within(400, 410 + regained());
  });

  it('are as many for all accounts of an address together as for ten, and leave other addresses theirs', () => {
    const crowd = many(20).map((id) => spend('z', 100 + id));
    const elsewhere = spend('elsewhere', 200);
    const sum = (counts: number[]) => counts.reduce((all, count) => all + count);
    expect(sum(crowd.map(({ allowed }) => allowed))).to.be.within(4000, 5000 + 10 * regained());
    expect(sum(crowd.map(({ refusedToAddress }) => refusedToAddress))).to.be.above(100);
    expect(elsewhere.allowed).to.be.within(400, 410 + regained());
  });
});
