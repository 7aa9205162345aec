import { expect } from 'chai';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

/** Each test has addresses of its own, of documentation's, and the proxy here is trusted to tell them. */
let lastAddress = 0;
const elsewhere = () => ({ 'x-forwarded-for': `203.0.113.${(lastAddress += 1)}` });

describe('logins beside a flood', () => {
  let world: World;
  let ada: TestUser;
  /** Limits by number are off, but where they matter: what is tested is who waits for whom. */
  async function begin(env: NodeJS.ProcessEnv): Promise<void> {
    world = await createWorld({ TRUST_PROXY: 'loopback', BCRYPT_COST: '7', ...env });
    ada = await world.user();
  }
  before(() => begin({}));
  after(() => world.close());

  const login = (email: string, password: string, headers: Record<string, string>) =>
    world.anonymous.post('/login', { email, password }, headers);

  /** So many requesters that ask again and again while `act` continues, from when their asks have begun to wait. */
  async function beside(
    requesters: number,
    ask: (requester: number, time: number) => Promise<Answer>,
    act: () => Promise<void>,
  ): Promise<Pick<Answer, 'status'>[]> {
    const answers: Pick<Answer, 'status'>[] = [];
    let over = false;
    const flood = Promise.all(
      Array.from({ length: requesters }, async (_, requester) => {
        for (let time = 0; !over; time += 1) {
          const answer = await ask(requester, time).catch(() => undefined);
          // On a busy machine some of the flood's own requests take too long for its client.
          if (!answer) continue;
          answers.push(answer);
          // A loop of nothing but refusals would be a test of the network.
          if (answer.status === 429) await pause(20);
        }
      }),
    );
    try {
      // Of one address no more than twenty may wait.
      await until('the flood to wait', () => world.ctx.passwords.waiting >= Math.min(requesters, 20) - 5);
      await act();
    } finally {
      over = true;
      await flood;
    }
    return answers;
  }

  /** Correct logins, one after the other, each of which must be let in. */
  async function logInOften(times: number): Promise<void> {
    const address = elsewhere();
    for (let time = 0; time < times; time += 1)
      expect((await login(ada.email, PASSWORD, address)).status).to.equal(200);
  }

  it('of forty wrong passwords at once from one address are let in', async () => {
    const address = elsewhere();
    const flood = await beside(
      40,
      (requester) => login(`nobody-${requester}@example.org`, 'a guess', address),
      () => logInOften(3),
    );
    expect(new Set(flood.map(({ status }) => status))).to.deep.equal(new Set([403, 429]));
  });

  it('of thirty-one sign-ups at once from one address are let in', async () => {
    const address = elsewhere();
    const flood = await beside(
      31,
      (requester, time) =>
        world.anonymous.post(
          '/users',
          { email: `f${requester}-${time}@example.org`, password: PASSWORD },
          address,
        ),
      () => logInOften(3),
    );
    expect(flood.filter(({ status }) => status === 201)).not.to.be.empty;
    expect(flood.filter(({ status }) => status !== 201 && status !== 429)).to.be.empty;
  });

  it('of two accounts that change their passwords without pause are let in, all of them', async () => {
    const flooders = [await world.user(), await world.user()].map((user) => ({ user, address: elsewhere() }));
    const flood = await beside(
      24,
      (requester) => {
        const { user, address } = flooders[requester % 2]!;
        return user.patch('/users/me', { password: PASSWORD, current_password: PASSWORD }, address);
      },
      async () => {
        const others = await Promise.all(
          Array.from({ length: 24 }, () => login(ada.email, PASSWORD, elsewhere())),
        );
        expect(others.map(({ status }) => status)).to.deep.equal(others.map(() => 200));
      },
    );
    expect(flood.some(({ status }) => status === 200)).to.be.true;
  });

  describe('of fifty addresses', () => {
    /** Three correct logins of Ada: before each is done, few of the flood's have had a turn. */
    async function logInBetween(addressOf: () => Record<string, string>): Promise<void> {
      const addresses = Array.from({ length: 50 }, elsewhere);
      let turns = 0;
      await beside(
        50,
        async (requester, time) => {
          const answer = await login(
            `nobody-${requester}-${time}@example.org`,
            'a guess',
            addresses[requester]!,
          );
          if (answer.status === 403) turns += 1;
          return answer;
        },
        async () => {
          for (let time = 0; time < 3; time += 1) {
            const before = turns;
            expect((await login(ada.email, PASSWORD, addressOf())).status).to.equal(200);
            expect(turns - before).to.be.below(30);
          }
        },
      );
    }

    before(async () => {
      await world.close();
      await begin({ RATE_LIMITS: 'on', BCRYPT_COST: '8' });
    });

    it('do not wait for a turn of each of these, where somebody has logged in before', async () => {
      const home = elsewhere();
      expect((await login(ada.email, PASSWORD, home)).status).to.equal(200);
      await logInBetween(() => home);
    });

    it('nor from an address that nobody knows, of an account that has proved its password before', () =>
      logInBetween(elsewhere));
  });

  it('leave the queue when their clients do', async () => {
    await world.close();
    await begin({ BCRYPT_COST: '11' });
    const leaving = new AbortController();
    const address = elsewhere();
    const asks = Array.from({ length: 15 }, (_, requester) =>
      fetch(`${world.url}/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...address },
        body: JSON.stringify({ email: `nobody-${requester}@example.org`, password: 'a guess' }),
        signal: leaving.signal,
      }).catch(() => undefined),
    );
    await until('them to wait', () => world.ctx.passwords.waiting >= 5);
    leaving.abort();
    await Promise.all(asks);
    await until('the queue to be empty', () => world.ctx.passwords.waiting === 0);
    const { values } = await world.ctx.metrics.loginsRefused.get();
    expect(values[0]?.value ?? 0).to.be.below(15);
  });
});
