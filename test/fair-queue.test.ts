import { expect } from 'chai';
import fc from 'fast-check';
import { type Requester, FairQueue, type FairQueueOptions } from '../server/queues/fair-queue.ts';

class Full extends Error {}

interface Ask {
  name: string;
  state: 'waiting' | 'running' | 'done' | 'refused' | 'left';
  finish: () => void;
  leave: () => void;
}

/** A queue whose work continues until the test ends it, and the asks in the order in which they had their turns. */
class Bench {
  readonly queue: FairQueue;
  readonly asks: Ask[] = [];
  readonly started: Ask[] = [];

  constructor(options: Partial<FairQueueOptions>) {
    this.queue = new FairQueue({
      atOnce: 1,
      most: 1000,
      mostOf: 1000,
      refusal: () => new Full(),
      ...options,
    });
  }

  ask(senders: string | string[], requester: Omit<Requester, 'senders'> = {}): Ask {
    const leaving = new AbortController();
    const ask: Ask = {
      name: String(senders),
      state: 'waiting',
      finish: () => undefined,
      leave: () => leaving.abort(new Error('gone')),
    };
    this.asks.push(ask);
    this.queue
      .run({ senders: [senders].flat(), signal: leaving.signal, ...requester }, () => {
        ask.state = 'running';
        this.started.push(ask);
        return new Promise<void>((resolve) => (ask.finish = resolve));
      })
      .then(
        () => (ask.state = 'done'),
        (error: unknown) => (ask.state = error instanceof Full ? 'refused' : 'left'),
      );
    return ask;
  }

  in(state: Ask['state']): Ask[] {
    return this.asks.filter((ask) => ask.state === state);
  }

  /** Lets promises settle. */
  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async finishOne(): Promise<void> {
    this.in('running')[0]?.finish();
    await this.settle();
  }

  async finishAll(): Promise<void> {
    await this.settle();
    while (this.in('running').length > 0) await this.finishOne();
  }

  get order(): string {
    return this.started.map(({ name }) => name).join(' ');
  }
}

describe('a fair queue', () => {
  it('serves senders in turns, whoever asks more', async () => {
    const bench = new Bench({});
    for (const name of ['a', 'a', 'a', 'a', 'b', 'b', 'c']) bench.ask(name);
    await bench.finishAll();
    expect(bench.order).to.equal('a b c a b a a');
  });

  it('lets a newcomer wait for the turn in progress and for nobody’s second one', async () => {
    const bench = new Bench({});
    for (let at = 0; at < 20; at += 1) bench.ask('flood');
    await bench.settle();
    for (let at = 0; at < 5; at += 1) await bench.finishOne();
    const newcomer = bench.ask('newcomer');
    await bench.finishOne();
    expect(newcomer.state).to.equal('running');
    await bench.finishAll();
  });

  it('gives a user with several addresses, and an address with several users, the share of one', async () => {
    const bench = new Bench({});
    bench.ask('busy');
    for (const senders of [
      ['a1', 'u1'],
      ['a1', 'u2'],
      ['a1', 'u3'],
      ['a2', 'u1'],
      ['a3', 'u1'],
      'other',
      'other',
    ])
      bench.ask(senders);
    await bench.finishAll();
    const turns = bench.started.map(({ name }) => name);
    // In each round one of those that share an address or a user, and one of the other's.
    expect(turns.indexOf('other')).to.be.at.most(3);
    expect(turns.lastIndexOf('other')).to.be.at.most(5);
  });

  it('takes turns between the users of one address, and refuses the one with most of them', async () => {
    const bench = new Bench({ most: 5 });
    bench.ask('busy');
    for (const user of ['u1', 'u1', 'u1', 'u2', 'u2']) bench.ask(['a', user]);
    const newcomer = bench.ask(['a', 'u3']);
    await bench.settle();
    expect(bench.in('refused').map(({ name }) => name)).to.deep.equal(['a,u1']);
    expect(newcomer.state).to.equal('waiting');
    await bench.finishAll();
    expect(bench.order).to.equal('busy a,u1 a,u2 a,u3 a,u1 a,u2');
  });

  it('continues serving a sender while new ones come without end', async () => {
    const bench = new Bench({});
    const asks = ['a', 'a', 'a'].map((name) => bench.ask(name));
    await bench.settle();
    let turns = 0;
    for (; asks.some(({ state }) => state !== 'done') && turns < 100; turns += 1) {
      bench.ask(`new ${turns}`);
      bench.ask(`new too ${turns}`);
      await bench.finishOne();
    }
    expect(turns).to.be.below(20);
    await bench.finishAll();
  });

  it('refuses, when it is full, the last request of the sender with the most, and not the newcomer', async () => {
    const bench = new Bench({ most: 4 });
    const [running, first, second, third, fourth] = Array.from({ length: 5 }, () => bench.ask('flood'));
    const newcomer = bench.ask('newcomer');
    await bench.settle();
    expect(fourth!.state).to.equal('refused');
    for (const ask of [first, second, third, newcomer]) expect(ask!.state).to.equal('waiting');
    expect(running!.state).to.equal('running');
    await bench.finishAll();
    expect(newcomer.state).to.equal('done');
  });

  it('refuses of one sender what is over its own bound, and of an address that is shared first who is not familiar', async () => {
    const bench = new Bench({ mostOf: 2 });
    for (const state of ['running', 'waiting', 'waiting', 'refused'] as const) {
      const ask = bench.ask('office');
      await bench.settle();
      expect(ask.state).to.equal(state);
    }
    const colleague = bench.ask('office', { familiar: true });
    await bench.settle();
    expect(colleague.state).to.equal('waiting');
    expect(bench.in('refused')).to.have.lengthOf(2);
    await bench.finishAll();
  });

  it('keeps its reserved place for who is familiar, one for each', async () => {
    const bench = new Bench({ reserved: 1 });
    bench.ask('flood');
    const newcomer = bench.ask('newcomer');
    const familiar = bench.ask('friend', { familiar: true });
    const again = bench.ask('friend', { familiar: true });
    await bench.settle();
    expect([newcomer, familiar, again].map(({ state }) => state)).to.deep.equal([
      'waiting',
      'running',
      'waiting',
    ]);
    familiar.finish();
    await bench.settle();
    expect([newcomer.state, again.state]).to.deep.equal(['waiting', 'running']);
    await bench.finishAll();
  });

  it('begins nothing of a flood beside the work in its reserved place', async () => {
    const bench = new Bench({ reserved: 1 });
    for (let at = 0; at < 4; at += 1) bench.ask('flood');
    const familiar = bench.ask('friend', { familiar: true });
    await bench.settle();
    expect(bench.order).to.equal('flood friend');
    bench.started[0]!.finish();
    await bench.settle();
    expect(bench.in('running')).to.deep.equal([familiar]);
    familiar.finish();
    await bench.settle();
    expect(bench.order).to.equal('flood friend flood');
    // Nor do familiar ones keep it out: each has a turn in each round.
    for (let time = 0; time < 5; time += 1)
      for (const name of ['one', 'two']) bench.ask(name, { familiar: true });
    await bench.finishAll();
    expect(bench.order).to.match(/flood( (one|two)){3,}$/);
  });

  it('lets a sender that had no turn for a while go before a flood, and forgets the turns of the others in time', async () => {
    const orders = { 60_000: 'f1 n1 n2 f2 f3 f4 n1', 0: 'f1 f2 f3 f4 n1 n2 n1' };
    for (const [rest, order] of Object.entries(orders)) {
      const bench = new Bench({ rest: Number(rest) });
      const flood = ['f1', 'f2', 'f3', 'f4'];
      for (const name of flood) bench.ask(name);
      await bench.finishAll();
      bench.started.length = 0;
      for (const name of flood) bench.ask(name);
      await bench.settle();
      for (const name of ['n1', 'n2', 'n1']) bench.ask(name);
      await bench.finishAll();
      expect(bench.order).to.equal(order);
    }
  });

  it('forgets an ask whose client has left, also one that had left before it asked', async () => {
    const bench = new Bench({ mostOf: 1 });
    bench.ask('a');
    const gone = bench.ask('a');
    await bench.settle();
    gone.leave();
    await bench.settle();
    expect(gone.state).to.equal('left');
    expect(bench.queue.waiting).to.equal(0);
    const next = bench.ask('a');
    await bench.finishAll();
    expect(next.state).to.equal('done');
    const late = bench.ask('a', { signal: AbortSignal.abort(new Error('gone')) });
    await bench.settle();
    expect(late.state).to.equal('left');
    expect(bench.started).to.have.lengthOf(2);
  });

  it('hands its place on also when work fails', async () => {
    const queue = new FairQueue({ atOnce: 1, most: 9, mostOf: 9, refusal: () => new Full() });
    const failed = queue.run({ senders: ['a'] }, () => Promise.reject(new Error('no')));
    const next = queue.run({ senders: ['b'] }, () => Promise.resolve('yes'));
    expect(await failed.catch((error: unknown) => (error as Error).message)).to.equal('no');
    expect(await next).to.equal('yes');
  });

  it('keeps its bounds and the order of each sender, and leaves nobody waiting, whatever happens', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ ask: fc.integer({ min: 0, max: 4 }), familiar: fc.boolean() }) },
      {
        weight: 1,
        arbitrary: fc.record({
          both: fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 5, max: 7 })),
        }),
      },
      { weight: 3, arbitrary: fc.record({ finish: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ leave: fc.nat() }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 0, max: 1 }),
        fc.array(step, { maxLength: 60 }),
        async (atOnce, reserved, steps) => {
          const most = 8;
          const mostOf = 4;
          const bench = new Bench({ atOnce, reserved, most, mostOf });
          const pick = (asks: Ask[], at: number) => asks[at % Math.max(1, asks.length)];
          for (const one of steps) {
            if ('ask' in one) bench.ask(`s${one.ask}`, { familiar: one.familiar });
            else if ('both' in one) bench.ask(one.both.map((sender) => `s${sender}`));
            else if ('finish' in one) pick(bench.in('running'), one.finish)?.finish();
            else pick(bench.in('waiting'), one.leave)?.leave();
            await bench.settle();
            const waiting = bench.in('waiting');
            expect(bench.queue.waiting).to.equal(waiting.length).and.to.be.at.most(most);
            expect(bench.in('running').length).to.be.at.most(atOnce + reserved);
            if (waiting.length > 0) expect(bench.in('running').length).to.be.at.least(atOnce);
            for (let sender = 0; sender < 8; sender += 1)
              expect(
                waiting.filter(({ name }) => name.split(',').includes(`s${sender}`)).length,
              ).to.be.at.most(mostOf);
          }
          const left = bench.in('waiting');
          const before = bench.started.length;
          await bench.finishAll();
          for (const ask of left) expect(ask.state).to.equal('done');
          expect(bench.queue.waiting).to.equal(0);
          // What has no reserved place is served in the order in which it came.
          if (reserved === 0)
            for (let sender = 0; sender < 5; sender += 1) {
              const own = bench.started.slice(before).filter(({ name }) => name === `s${sender}`);
              expect(own).to.deep.equal(
                [...own].sort((a, b) => bench.asks.indexOf(a) - bench.asks.indexOf(b)),
              );
            }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('serves every ask within as many rounds as its sender has asks before it', async () => {
    const senders = 5;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(fc.integer({ min: 0, max: senders - 1 }), { freq: 2 }), { maxLength: 80 }),
        async (program) => {
          const bench = new Bench({});
          const due = new Map<Ask, number>();
          for (const sender of program) {
            if (sender === null) await bench.finishOne();
            else {
              const own = bench.in('waiting').filter(({ name }) => name === `s${sender}`).length;
              const ask = bench.ask(`s${sender}`);
              due.set(ask, bench.started.length + (own + 2) * senders);
              await bench.settle();
            }
          }
          await bench.finishAll();
          for (const [ask, by] of due) expect(bench.started.indexOf(ask)).to.be.within(0, by);
        },
      ),
      { numRuns: 200 },
    );
  });
});
