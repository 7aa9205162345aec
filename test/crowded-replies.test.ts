import { expect } from 'chai';
import type { Tally } from '../server/contract.ts';
import { examine } from '../server/doctor/examine.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import type { NodeProcess } from './support/node-process.ts';
import { writePost } from './support/posts.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { sharedRedis, type TestRedis } from './support/redis.ts';
import { headOf, numberOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, Api, createWorld, type TestUser, type World } from './support/world.ts';

type Listed = Omit<PostAnswer, 'parent_id'> & { parent_id: number; depth: number; deleted?: true };

const MANY = 200;
const DEPTH = 8;
/** All of them change the count of one post, one after the other. Milliseconds. */
const PATIENCE = 60_000;

describe('two hundred replies and two hundred deletions at once, on two nodes', () => {
  let redis: Pick<TestRedis, 'url' | 'stop'>;
  let world: World;
  let other: NodeProcess;
  let ada: TestUser;
  let bob: TestUser;

  before(async () => {
    redis = await sharedRedis();
    world = await createWorld({ ...sharedSecret, REDIS_URL: redis.url });
    other = await startAnotherNode(world, 'other', { REDIS_URL: redis.url });
    [ada, bob] = [await world.user(), await world.user()];
  });
  afterEach(endRawClients);
  after(async () => {
    await other.stop();
    await world.close();
    await redis.stop();
    expect(other.misconduct).to.deep.equal([]);
  });

  const on = (user: TestUser, n: number) => new Api(n % 2 ? other.url : world.url, user.token, PATIENCE);
  const tryReply = (user: TestUser, n: number, id: number) =>
    on(user, n).post<PostAnswer>(`/posts/${id}/replies`, { content: `Answer ${n}` });

  async function reply(user: TestUser, n: number, id: number): Promise<number> {
    const { status, body } = await tryReply(user, n, id);
    expect(status, JSON.stringify(body)).to.equal(201);
    return body.id;
  }

  /** Everything below a post, page by page. */
  async function list(id: number): Promise<Listed[]> {
    const found: Listed[] = [];
    for (let path: string | undefined = `/posts/${id}/replies?limit=100`; path !== undefined;) {
      const page: Answer<Listed[]> = await bob.get<Listed[]>(path);
      expect(page.status, path).to.equal(200);
      found.push(...page.body);
      path = /<([^>]*)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    return found;
  }

  it('leave at every depth the count that the list shows, revs that only grow, and nothing for the doctor', async () => {
    const { id: root } = await writePost(ada);
    const levels = [root];
    for (let n = 0; n < DEPTH; n += 1) levels.push(await reply(ada, n, levels.at(-1)!));
    const levelOf = (n: number) => levels[n % levels.length]!;
    const doomed: number[] = [];
    while (doomed.length < MANY - 2) {
      const next = Array.from({ length: 11 }, (_, n) => doomed.length + n);
      doomed.push(...(await Promise.all(next.map((n) => reply(bob, n, levelOf(n))))));
    }
    const listeners = await Promise.all(
      [world.url, other.url].map((url) =>
        RawClient.join(url, { token: bob.token, topics: [`thread:${root}`], tallies: 'all' }),
      ),
    );

    // Every other reply answers one that is being deleted; two levels with all that is below them are deleted as well.
    const [writes, deletions] = await Promise.all([
      Promise.all(
        Array.from({ length: MANY }, (_, n) =>
          tryReply(ada, n, n % 2 ? doomed[n % doomed.length]! : levelOf(n / 2)),
        ),
      ),
      Promise.all([
        ...doomed.map((id, n) => on(bob, n).delete(`/posts/${id}`)),
        ...[levels[3]!, levels[6]!].map((id, n) => on(ada, n).delete(`/posts/${id}`)),
      ]),
    ]);
    expect(new Set(deletions.map(({ status }) => status))).to.deep.equal(new Set([204]));
    const outcomes = writes.map(({ status }) => status);
    expect(
      writes
        .filter(({ status }) => ![201, 404, 409].includes(status))
        .map(({ body }) => JSON.stringify(body)),
    ).to.deep.equal([]);
    const isKept = (n: number) => n % 2 === 0 && ![3, 6].includes((n / 2) % levels.length);
    expect(outcomes.filter((status, n) => isKept(n) && status !== 201)).to.deep.equal([]);
    const written = writes.filter(({ status }) => status === 201).map(({ body }) => body.id);

    const rows = await list(root);
    const living = rows.filter(({ deleted }) => !deleted);
    expect(living.map(({ id }) => id).sort((a, b) => a - b)).to.deep.equal(
      [...levels.slice(1).filter((id) => id !== levels[3] && id !== levels[6]), ...written].sort(
        (a, b) => a - b,
      ),
    );
    const parents = new Map(rows.map(({ id, parent_id }) => [id, parent_id]));
    const counts = new Map<number, number>([...levels, ...rows.map(({ id }) => id)].map((id) => [id, 0]));
    for (const { id } of living)
      for (let above = parents.get(id); above !== undefined; above = parents.get(above))
        counts.set(above, counts.get(above)! + 1);
    for (const { id, replies } of rows) expect(replies, `replies below ${id}`).to.equal(counts.get(id));
    for (const url of [world.url, other.url])
      expect((await new Api(url, bob.token).get<PostAnswer>(`/posts/${root}`)).body.replies).to.equal(
        living.length,
      );
    for (const id of [levels[1]!, levels[5]!, levels[DEPTH]!]) {
      const below = await list(id);
      expect(below.filter(({ deleted }) => !deleted)).to.have.lengthOf(counts.get(id)!);
    }

    const head = await headOf(world);
    const tallies = ({ events }: RawClient) =>
      events.filter(({ name }) => name === 'votes').flatMap(({ args }) => args[0] as Tally[]);
    const { body: last } = await bob.get<PostAnswer>(`/posts/${root}`);
    for (const listener of listeners) {
      await until(
        'every event',
        () => ((listener.heard('feed:head').at(-1)?.[0] as { seq: number } | undefined)?.seq ?? 0) >= head,
      );
      // By its rev: an earlier one may have had as many replies.
      const newest = () => tallies(listener).findLast(({ post_id }) => post_id === root);
      await until('the last tally', () => newest()?.rev === last.rev);
      expect(newest()?.replies).to.equal(living.length);
      const revs = new Map<number, number>();
      for (const { post_id, rev } of tallies(listener)) {
        expect(rev, `of ${post_id}`).to.be.above(revs.get(post_id) ?? -1);
        revs.set(post_id, rev);
      }
      expect(revs.get(root)).to.equal(last.rev);
    }
    expect(
      await numberOf(world, 'select deadlocks from pg_stat_database where datname = current_database()'),
    ).to.equal(0);
    // The settings of the tests' server are not the subject.
    const examined = (await examine(world.ctx.config, world.databaseUrl, { schema: false })).filter(
      ({ what }) => what !== 'database',
    );
    expect(examined).not.to.be.empty;
    expect(examined.flatMap(({ findings }) => findings.map(({ what }) => what))).to.deep.equal([]);
  });
});
