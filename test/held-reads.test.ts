import { expect } from 'chai';
import type pg from 'pg';
import { createFeedPool } from '../server/database/connection.ts';
import type { Delivery } from '../server/delivery/delivery.ts';
import { Follower } from '../server/log/follower.ts';
import { createLogger } from '../server/logger.ts';
import { nextEvents } from '../server/transports/long-poll/long-poll.ts';
import { appendPosts } from './support/append-sql.ts';
import { deliveryOn, heldPool, type Holds, KeptSubscriber } from './support/bare-delivery.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

const log = createLogger('silent');
const SECRET = 'to be taken out';
/** Events that a node here remembers, and more than it does. */
const REMEMBERED = 20;
const MANY = 150;

describe('a text that is taken out while it is on its way from the log to a client', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let follower: Follower;
  let delivery: Delivery;
  let holds: Holds;
  let release: () => void;
  /** The position before the text. */
  let start: number;

  const number = async (facts: string) => {
    await pool.query(appendPosts(facts));
    while ((await pool.query('select * from number_events(500)')).rowCount);
    const { rows } = await pool.query<{ head: number }>('select seq as head from feed_head');
    return rows[0]!.head;
  };
  const deletions = (from: number, many: number) =>
    `select 'post:deleted', n, json_build_object('id', n) from generate_series(${from}, ${from + many - 1}) n`;

  before(async () => {
    database = await createDatabase();
    pool = createFeedPool(database.url, log, 4);
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    start = await number(deletions(1, 1));
    await number(
      `select 'post:created', ${start}, json_build_object('id', ${start}, 'content', '${SECRET}')`,
    );
    await number(deletions(100_000, MANY));
    const ring = { entries: REMEMBERED, bytes: 1_000_000 };
    follower = new Follower({ pool, log, interval: () => 20, ring });
    await follower.start();
    holds = {};
    delivery = deliveryOn(follower, heldPool(pool, holds));
  });
  afterEach(async () => {
    release();
    delivery.stop();
    await follower.stop();
  });

  /** Holds the answer to a read of the log, the first or a later one. @returns when it is there */
  const holdRead = (which: number): Promise<void> => {
    const released = new Promise<void>((resolve) => (release = resolve));
    let reads = 0;
    return new Promise((resolve) => {
      holds.after = (name) => {
        if (name !== 'log-page') return undefined;
        reads += 1;
        if (reads === which) resolve();
        return reads === which ? released : undefined;
      };
    });
  };
  /** The text goes, some events follow, and the node passes all of it. */
  const takeOut = async (later: number) => {
    let head = await number(deletions(start, 1));
    if (later > 0) head = await number(deletions(200_000, later));
    await until('the node to have passed it', () => follower.seq >= head);
    release();
  };

  for (const later of [0, REMEMBERED + 5]) {
    const title = `with ${later} events behind it`;

    it(`is not in the answer to a subscribe, ${title}`, async () => {
      const subscriber = new KeptSubscriber(1, []);
      delivery.enter(subscriber);
      delivery.admit(subscriber, undefined, undefined);
      await until('it to be greeted', () => subscriber.greeted);
      const read = holdRead(1);
      const request = { topics: ['feed'], from: start, epoch: undefined };
      const answer = delivery.subscribe(subscriber, request);
      await read;
      await takeOut(later);
      const { events, reset } = await answer;
      expect(events.map(({ json }) => json).join('\n')).not.to.include(SECRET);
      expect([events.length, reset]).to.deep.equal(later === 0 ? [MANY + 1, []] : [0, ['feed']]);
    });

    it(`is not in the replay of a subscription, ${title}`, async () => {
      const subscriber = new KeptSubscriber(1, ['feed']);
      const read = holdRead(1);
      delivery.enter(subscriber);
      delivery.admit(subscriber, start, undefined);
      await read;
      await takeOut(later);
      await until('it to be up to date', () => subscriber.greeted);
      expect(subscriber.handed.map(({ json }) => json).join('\n')).not.to.include(SECRET);
      expect(subscriber.seqs.slice(0, MANY + 2)).to.deep.equal(
        Array.from({ length: MANY + 2 }, (_, at) => start + at + 1),
      );
    });

    for (const which of [1, 2])
      it(`is not in a page of events of which part ${which} is being read, ${title}`, async () => {
        const user = { id: 1, sessionId: 'one', expiresAt: Infinity };
        const read = holdRead(which);
        const page = nextEvents(
          { delivery, feed: follower },
          user,
          { after: start, limit: MANY, wait: 0 },
          new AbortController().signal,
        ).catch((error: unknown) => error);
        await read;
        await takeOut(later);
        const answer = await page;
        expect(JSON.stringify(answer)).not.to.include(SECRET);
        // What cannot be told any more is asked for again.
        if (which === 2 && later > 0) expect(answer).to.include({ code: 'unavailable' });
        else expect(answer).to.have.property('events').with.lengthOf(MANY);
      });
  }
});
