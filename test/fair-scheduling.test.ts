import { expect } from 'chai';
import fc from 'fast-check';
import { MicroBatcher } from '../server/database/micro-batcher.ts';
import { takeRoundRobin } from '../server/queues/round-robin.ts';
import { QueueLimit } from '../server/queues/queue-limit.ts';
import { FairSemaphore } from '../server/queues/fair-semaphore.ts';
import { until } from './support/waiting.ts';

class Full extends Error {}

describe('a draw in turns', () => {
  const ofSender = (ask: string) => [ask[0]!];

  it('takes the first of each sender, then the second, and leaves the others in their order', () => {
    const waiting = ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'];
    expect(takeRoundRobin(waiting, 4, ofSender)).to.deep.equal({
      drawn: ['a1', 'b1', 'c1', 'a2'],
      left: ['a3', 'a4', 'b2'],
    });
    expect(takeRoundRobin(waiting, 7, ofSender)).to.deep.equal({ drawn: waiting, left: [] });
  });

  it('takes the first of an address before the first of a second user there', () => {
    const waiting = ['a1', 'b1', 'c1', 'd2', 'a1'];
    const { drawn } = takeRoundRobin(waiting, 2, ([user = '', address = '']) => [user, address]);
    expect(drawn).to.deep.equal(['a1', 'd2']);
  });
});

describe('a bound that senders share', () => {
  interface Sent {
    senders: string[];
    state: 'waiting' | 'refused';
  }

  function boundOf(most: number) {
    const bound = new QueueLimit<Sent>({
      most,
      sendersOf: ({ senders }) => senders,
      refuse: (ask) => (ask.state = 'refused'),
    });
    return {
      bound,
      send: (...senders: string[]): Sent => {
        const ask: Sent = { senders, state: 'waiting' };
        bound.add(ask);
        return ask;
      },
    };
  }

  it('refuses the last request of the sender with the most, and not a newcomer', () => {
    const { bound, send } = boundOf(4);
    const flood = [send('a'), send('a'), send('a'), send('b')];
    const newcomer = send('c');
    expect(flood.map(({ state }) => state)).to.deep.equal(['waiting', 'waiting', 'refused', 'waiting']);
    expect([newcomer.state, send('a').state, bound.size]).to.deep.equal(['waiting', 'refused', 4]);
  });

  it('counts all accounts of an address as one, and takes the last of the account with the most there', () => {
    const { send } = boundOf(4);
    const [first, second, , third] = [send('u1', 'x'), send('u2', 'x'), send('u3', 'y'), send('u2', 'x')];
    expect(send('u4', 'z').state).to.equal('waiting');
    expect([first.state, second.state, third.state]).to.deep.equal(['waiting', 'waiting', 'refused']);
  });

  it('refuses the newcomer when each of as many senders as there are places has one', () => {
    const { send } = boundOf(3);
    expect(['a', 'b', 'c', 'd'].map((name) => send(name).state)).to.deep.equal([
      ...['waiting', 'waiting', 'waiting'],
      'refused',
    ]);
  });

  it('never holds more than it may, and refuses none but of the busiest, whatever comes and goes', () => {
    const step = fc.record({ user: fc.integer({ min: 0, max: 5 }), address: fc.integer({ min: 0, max: 2 }) });
    fc.assert(
      fc.property(fc.array(fc.option(step, { freq: 3 }), { maxLength: 100 }), (program) => {
        const { bound, send } = boundOf(6);
        let waiting: Sent[] = [];
        for (const each of program) {
          if (each === null) {
            const [gone, ...rest] = waiting;
            if (gone) bound.delete(gone);
            waiting = rest;
          } else {
            waiting.push(send(`u${each.user}`, `a${each.address}`));
            const all = waiting.flatMap(({ senders }) => senders);
            const crowd = (sender: string) => all.filter((name) => name === sender).length;
            const crowds = (ask: Sent) => Math.max(...ask.senders.map(crowd));
            const refused = waiting.filter(({ state }) => state === 'refused');
            expect(refused.length).to.equal(waiting.length > 6 ? 1 : 0);
            for (const ask of refused) expect(crowds(ask)).to.equal(Math.max(...waiting.map(crowds)));
            waiting = waiting.filter(({ state }) => state === 'waiting');
          }
          expect(bound.size).to.equal(waiting.length);
        }
      }),
    );
  });
});

describe('rounds that asks are gathered for', () => {
  it('refuse the last request of the sender with the most, when too many wait, and answer all others', async () => {
    const fates: string[] = [];
    const ends: (() => void)[] = [];
    const batcher = new MicroBatcher<{ name: string; sender: string }>({
      atOnce: 1,
      most: 2,
      sendersOf: ({ sender }) => [sender],
      bound: { most: 3, refuse: ({ name }) => fates.push(`${name} refused`) },
      round: async (asks) => {
        await new Promise<void>((resolve) => ends.push(resolve));
        for (const { name } of asks) fates.push(name);
      },
    });
    const tick = () => new Promise((resolve) => setImmediate(resolve));
    batcher.add({ name: 'first', sender: 'flood' });
    await tick();
    for (const name of ['a', 'b', 'c', 'd']) batcher.add({ name, sender: 'flood' });
    batcher.add({ name: 'newcomer', sender: 'other' });
    expect(fates).to.deep.equal(['d refused', 'c refused']);
    expect(batcher.waiting).to.equal(3);
    while (batcher.waiting > 0 || ends.length > 0) {
      ends.shift()?.();
      await tick();
    }
    expect(fates.slice(2)).to.deep.equal(['first', 'a', 'newcomer', 'b']);
  });

  it('answer what a round has left to a later one before what has come since', async () => {
    const rounds: string[][] = [];
    let again = ['put back'];
    const batcher: MicroBatcher<string> = new MicroBatcher<string>({
      atOnce: 1,
      most: 1,
      sendersOf: () => ['sender'],
      bound: { most: 10, refuse: () => undefined },
      round: (asks) => {
        rounds.push([...asks]);
        if (again.length > 0) batcher.putBack(again);
        again = [];
        return Promise.resolve();
      },
    });
    for (const ask of ['one', 'two']) batcher.add(ask);
    await until('all rounds', () => rounds.length === 3);
    expect(rounds).to.deep.equal([['one'], ['put back'], ['two']]);
  });
});

describe('work in turns', () => {
  it('goes to each sender in turn, a bounded number at once', async () => {
    const turns = new FairSemaphore<number>({ atOnce: 1, pathOf: (sender) => [String(sender)] });
    const order: string[] = [];
    const finish: (() => void)[] = [];
    const asks = [1, 1, 1, 2, 3, 2].map((sender, at) =>
      turns.run(sender, () => {
        order.push(`${sender}:${at}`);
        return new Promise<void>((resolve) => finish.push(resolve));
      }),
    );
    expect(turns.waiting).to.equal(5);
    for (let at = 0; at < asks.length; at += 1) {
      expect(order).to.have.lengthOf(at + 1);
      finish[at]!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(asks);
    expect(order).to.deep.equal(['1:0', '1:1', '2:3', '3:4', '1:2', '2:5']);
    expect(turns.waiting).to.equal(0);
  });

  interface GroupedAsk {
    path: string[];
    signal?: AbortSignal;
  }

  /** Turns of which each lasts until the test ends it, and what became of the asks. */
  class Turns {
    readonly taking: FairSemaphore<GroupedAsk>;
    readonly begun: string[] = [];
    readonly refused: string[] = [];
    readonly asks: Promise<void>[] = [];
    readonly #ends: (() => void)[] = [];

    constructor({ most = 1000, timeLimit = 60_000 } = {}) {
      this.taking = new FairSemaphore({
        atOnce: 1,
        pathOf: ({ path }) => path,
        signalOf: ({ signal }) => signal,
        limits: { most, timeLimit, sendersOf: ({ path }) => path, refusal: () => new Full() },
      });
    }

    ask(path: string, signal?: AbortSignal): void {
      const work = () => {
        this.begun.push(path);
        return new Promise<void>((resolve) => this.#ends.push(resolve));
      };
      const requester = { path: path.split('/'), ...(signal ? { signal } : {}) };
      this.asks.push(this.taking.run(requester, work).catch(() => void this.refused.push(path)));
    }

    /** Ends turns, one after the other, until all who wait have had theirs. */
    async endAll(): Promise<void> {
      while (this.taking.running > 0) {
        this.#ends.shift()?.();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(this.asks);
      expect(this.taking.waiting).to.equal(0);
    }
  }

  it('goes to groups in turn, and within each to its members', async () => {
    const turns = new Turns();
    for (const path of ['a/1', 'a/1', 'a/1', 'a/2', 'a/2', 'b/3', 'b/3', 'c']) turns.ask(path);
    await turns.endAll();
    expect(turns.begun).to.deep.equal(['a/1', 'a/1', 'b/3', 'c', 'a/2', 'b/3', 'a/1', 'a/2']);
  });

  it('goes to a sender in many groups as often as to one in a single group', async () => {
    const turns = new Turns();
    turns.ask('x/0');
    for (let group = 0; group < 20; group += 1) turns.ask(`g${group}/many`);
    for (let more = 0; more < 3; more += 1) turns.ask('a/one');
    await turns.endAll();
    expect(turns.begun.slice(1, 7).filter((path) => path === 'a/one')).to.have.lengthOf(3);
  });

  it('is refused to the last request of the sender with the most, when too many wait', async () => {
    const turns = new Turns({ most: 4 });
    turns.ask('x/0');
    for (const path of ['a/1', 'a/1', 'a/1', 'a/2', 'b/3', 'c/4']) turns.ask(path);
    await Promise.resolve();
    await turns.endAll();
    expect(turns.refused).to.deep.equal(['a/1', 'a/1']);
    expect(turns.begun).to.deep.equal(['x/0', 'a/1', 'b/3', 'c/4', 'a/2']);
  });

  it('is refused to an ask that has waited for too long, and not done for one whose client has left', async () => {
    const turns = new Turns({ timeLimit: 20 });
    const leaving = new AbortController();
    turns.ask('a/1');
    turns.ask('a/1', leaving.signal);
    turns.ask('b/2');
    leaving.abort(new Error('gone'));
    turns.ask('c/3', leaving.signal);
    await until('the last one to be refused', () => turns.refused.length === 3);
    expect(turns.refused).to.have.members(['a/1', 'c/3', 'b/2']);
    expect(turns.taking.waiting).to.equal(0);
    await turns.endAll();
    expect(turns.begun).to.deep.equal(['a/1']);
  });

  it('comes to everyone in the end, and each group waits for no more than one turn of each other', async () => {
    const step = fc.record({ group: fc.integer({ min: 0, max: 3 }), member: fc.integer({ min: 0, max: 2 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const turns = new Turns();
        turns.ask('first/turn');
        for (const { group, member } of steps) turns.ask(`${group}/${group}${member}`);
        await turns.endAll();
        const order = turns.begun.slice(1);
        expect([...order].sort()).to.deep.equal(
          steps.map(({ group, member }) => `${group}/${group}${member}`).sort(),
        );
        // Between two turns of a group that has asks left no other group has more than one.
        for (const [at, path] of order.entries()) {
          const group = path.split('/')[0]!;
          const next = order.findIndex((later, place) => place > at && later.startsWith(`${group}/`));
          if (next < 0) continue;
          const between = order.slice(at + 1, next).map((other) => other.split('/')[0]);
          expect(new Set(between).size).to.equal(between.length);
        }
      }),
    );
  });
});
