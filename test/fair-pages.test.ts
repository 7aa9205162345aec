import { expect } from 'chai';
import type { ListPosts } from '../server/posts/schemas.ts';
import { writePost } from './support/posts.ts';
import { until } from './support/waiting.ts';
import { createWorld, type World } from './support/world.ts';

/** Rounds in progress at once. */
const ROUNDS = 3;
/** Different pages that are asked for while these rounds continue, and accounts that ask for them. */
const FLOOD = 300;
/** Pages that a round reads at most. */
const PAGES_IN_ROUND = 16;
const ACCOUNTS = 40;
const LIST: ListPosts = {
  limit: 1,
  skip: 0,
  search: '',
  sort: 'new',
  view: 'all',
  replies: false,
  published: true,
};

describe('pages of the feed', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
    await writePost(await world.user());
  });
  after(() => world.close());

  /** Of each test its own: what the node has read lately it gives out again. */
  let limit = 0;
  beforeEach(() => (limit += 1));
  const page = (viewer: number, skip: number, address: string) =>
    world.ctx.feedReader.read(viewer, { ...LIST, limit, skip }, { senders: [address, `u${viewer}`] });

  for (const [senders, userOf] of [
    ['one user', () => 1000],
    ['many accounts of one address', (n: number) => 1000 + (n % ACCOUNTS)],
  ] as const)
    it(`are read for another before they are read for all that ${senders} asked for first`, async () => {
      const client = await world.pool.connect();
      let answered = 0;
      const flood: Promise<void>[] = [];
      const ask = (n: number) => flood.push(page(userOf(n), n, 'a flood').then(() => void (answered += 1)));
      let own: Promise<number>;
      try {
        await client.query('begin; lock table posts in access exclusive mode');
        for (let round = 1; round <= ROUNDS; round += 1) {
          ask(FLOOD + round);
          await until('the round to begin', () => world.ctx.feedReader.waiting === 0);
        }
        for (let n = 0; n < FLOOD; n += 1) ask(n);
        own = page(2000, 900, 'another').then(() => answered);
        expect(world.ctx.feedReader.waiting).to.equal(FLOOD + 1);
      } finally {
        await client.query('rollback');
        client.release();
      }
      const before = await own;
      await Promise.all(flood);
      // The rounds in progress, then the newcomer's and those beside it, which may be done twice before it is.
      expect(before).to.be.below(ROUNDS + 2 * ROUNDS * PAGES_IN_ROUND);
      expect(world.ctx.feedReader.waiting).to.equal(0);
    });
});
