import { expect } from 'chai';
import type { FeedEvent } from '../server/contract.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import type { RelationView } from '../server/relations/commands.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import type { NodeProcess } from './support/node-process.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { RawClient } from './support/raw-client.ts';
import { sharedRedis, type TestRedis } from './support/redis.ts';
import { headOf, whileUnnumbered } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, TestUser, type World } from './support/world.ts';

describe('follows, blocks and mutes on two nodes', () => {
  let redis: Pick<TestRedis, 'url' | 'stop'>;
  let world: World;
  let other: NodeProcess;

  before(async () => {
    redis = await sharedRedis();
    world = await createWorld({ ...sharedSecret, REDIS_URL: redis.url }, undefined, undefined, { block: 20 });
    other = await startAnotherNode(world, 'other', { REDIS_URL: redis.url });
  });
  after(async () => {
    await other.stop();
    await world.close();
    await redis.stop();
    expect(other.misconduct).to.deep.equal([]);
  });

  /** The same user on the other node. */
  const elsewhere = (user: TestUser) =>
    new TestUser(other.url, user, { access_token: user.token, refresh_token: user.refreshToken });
  const ids = async (user: TestUser, path: string) =>
    (await user.get<PostAnswer[]>(path)).body.map((post) => post.id);

  it('count on the other node as soon as they are answered', async () => {
    const [ada, ben] = [await world.user(), await world.user()];
    const post = await writePost(ben);
    const follow = await ada.put<RelationView>(`/users/${ben.id}/follow`);
    const { body, headers } = await elsewhere(ada).get<PostAnswer[]>('/posts?view=home');
    expect(body.map(({ id }) => id)).to.deep.equal([post.id]);
    expect(Number(headers.get('x-feed-seq'))).to.be.at.least(follow.body.seq);
    expect((await elsewhere(ben).put(`/posts/${post.id}/vote`)).status).to.equal(200);

    await ada.put(`/users/${ben.id}/block`);
    expectProblem(await elsewhere(ada).put(`/posts/${post.id}/vote`), 403);
    expectProblem(await elsewhere(ben).put(`/users/${ada.id}/follow`), 403);
    for (const query of ['', '?view=home', '?sort=top', '?search=hello'])
      expect(await ids(elsewhere(ada), `/posts${query}`), query).not.to.include(post.id);
    const again = await elsewhere(ada).delete<RelationView>(`/users/${ben.id}/block`);
    expect(again.body).to.include({ blocked: false });
    expect(await ids(ada, '/posts')).to.include(post.id);
  });

  it('end up alike where both nodes change one relation at once', async () => {
    const [ada, ben] = [await world.user(), await world.user()];
    const path = `/users/${ben.id}/mute`;
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => {
        const user = at % 2 ? ada : elsewhere(ada);
        return at % 3 ? user.put<RelationView>(path) : user.delete<RelationView>(path);
      }),
    );
    for (const { status } of answers) expect(status).to.equal(200);
    const last = await ada.put<RelationView>(path);
    const there = await elsewhere(ada).put<RelationView>(path);
    expect(there.body).to.deep.equal(last.body);
  });

  /** A home page as a client holds it: its posts and their versions. */
  type Held = Map<number, { author: number; version: number }>;

  async function homeOf(reader: TestUser): Promise<{ seq: number; held: Held }> {
    const { body, headers } = await reader.get<PostAnswer[]>('/posts?view=home&limit=100');
    const held = new Map(body.map(({ id, owner_id, version }) => [id, { author: owner_id, version }]));
    return { seq: Number(headers.get('x-feed-seq')), held };
  }

  /** What a client makes of an event: what somebody writes who is no longer followed, or hidden, goes. */
  function fold(held: Held, { name, data }: FeedEvent): void {
    const forget = (author: number) => {
      for (const [id, post] of held) if (post.author === author) held.delete(id);
    };
    if (name === 'post:created' || name === 'post:updated') {
      if (!data.redacted) held.set(data.id, { author: data.owner_id, version: data.version });
    } else if (name === 'post:deleted') held.delete(data.id);
    else if (name === 'follow:removed') forget(data.followee.id);
    else if (name === 'block:added' || name === 'mute:added') forget(data.user.id);
  }

  for (const round of [1, 2, 3])
    it(`a home page and the events after it give the home page of any later moment (${round})`, async () => {
      const reader = await world.user();
      const authors = await Promise.all(Array.from({ length: 5 }, () => world.user()));
      const [stranger] = [await world.user()];
      for (const author of authors) await reader.put(`/users/${author.id}/follow`);
      const written: { author: TestUser; id: number }[] = [];
      const write = async (author: TestUser) => {
        const on = written.length % 2 ? author : elsewhere(author);
        written.push({ author, id: (await writePost(on)).id });
      };
      for (const author of [...authors, reader, stranger]) await write(author);
      const pick = <T>(of: readonly T[], at: number) => of[(at * 7919 + round * 31) % of.length]!;
      const pages: Awaited<ReturnType<typeof homeOf>>[] = [];
      const deeds: (() => Promise<unknown>)[] = [];
      for (let at = 0; at < 40; at += 1) {
        const { author, id } = pick(written, at);
        deeds.push(
          pick(
            [
              () => write(pick([...authors, reader, stranger], at + 3)),
              () => author.patch(`/posts/${id}`, { content: `edited ${at}` }),
              () => elsewhere(author).delete(`/posts/${id}`),
              async () => pages.push(await homeOf(pick([reader, elsewhere(reader)], at))),
            ],
            at,
          ),
        );
      }
      deeds.splice(12, 0, () => elsewhere(reader).delete(`/users/${authors[0]!.id}/follow`));
      deeds.splice(22, 0, () => reader.put(`/users/${authors[1]!.id}/mute`));
      deeds.splice(32, 0, () => authors[2]!.put(`/users/${reader.id}/block`));
      for (let at = 0; at < deeds.length; at += 3)
        await Promise.all(deeds.slice(at, at + 3).map((deed) => deed()));
      const end = await headOf(world);
      await until('both nodes to be there', async () => {
        const there = await elsewhere(reader).get<{ head: number }>('/events');
        return there.body.head >= end && world.ctx.feed.seq >= end;
      });
      const last = await homeOf(reader);
      expect(last.seq).to.be.at.least(end);
      expect(pages.length).to.be.greaterThan(3);
      for (const { seq, held } of pages)
        for (const user of [reader, elsewhere(reader)]) {
          const folded = new Map(held);
          for (let from = seq; from < last.seq;) {
            const { status, body } = await user.get<{ head: number; events: FeedEvent[] }>(
              `/events?topics=home&after=${from}&epoch=${world.ctx.feed.epoch}&limit=20`,
            );
            expect(status).to.equal(200);
            for (const event of body.events) fold(folded, event);
            from = body.events.at(-1)?.seq ?? body.head;
          }
          const sorted = (posts: Held) => [...posts].sort(([a], [b]) => a - b);
          expect(sorted(folded), `from ${seq}`).to.deep.equal(sorted(last.held));
        }
    });

  it('lose and double no notification of a reply whose node is killed before it gets its number', async () => {
    const [ada, ben] = [await world.user(), await world.user()];
    const { id } = await writePost(ada);
    const first = await RawClient.join(world.url, { token: ada.token, topics: [] });
    const [{ seq: after, epoch }] = first.heard('ready')[0] as [{ seq: number; epoch: string }];
    const third = await startAnotherNode(world, 'third', { REDIS_URL: redis.url });
    await whileUnnumbered(world, async () => {
      const { status } = await new Api(third.url, ben.token).post(`/posts/${id}/replies`, {
        content: 'Well',
      });
      expect(status).to.equal(201);
      await third.kill();
      expect(first.heard('notification:added')).to.be.empty;
      first.terminate();
    });
    const head = await headOf(world);
    const devices = await Promise.all(
      [world.url, other.url].map((url) =>
        RawClient.join(url, { token: ada.token, topics: [], after, epoch }),
      ),
    );
    // Behind it, so that a second one would have come before this.
    const { seq } = (await ada.put<RelationView>(`/users/${ben.id}/mute`)).body;
    expect(seq).to.be.above(head);
    for (const device of devices) {
      await until('what is behind it', () => device.heard('mute:added').length > 0);
      expect(device.heard('notification:added').map(([one]) => (one as { kind: string }).kind)).to.deep.equal(
        ['reply'],
      );
      device.terminate();
    }
  });
});
