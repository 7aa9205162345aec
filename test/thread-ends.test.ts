import { expect } from 'chai';
import { chainFault, eventsOf, listen, type Told } from './support/chain.ts';
import { writePost } from './support/posts.ts';
import { expectProblem } from './support/problems.ts';
import { readyOf } from './support/sockets.ts';
import { caughtUp, headOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

interface Listed {
  events: { name: string; seq: number; data: { id: number; root_id?: number | null } }[];
}

describe('the end of a thread', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;
  let eve: TestUser;
  let reader: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 50 });
    [ada, bob, eve, reader] = await Promise.all([world.user(), world.user(), world.user(), world.user()]);
  });
  after(() => world.close());

  const reply = async (by: TestUser, id: number, content: string) => {
    const { status, body } = await by.post<{ id: number }>(`/posts/${id}/replies`, { content });
    expect(status).to.equal(201);
    return body.id;
  };
  const remove = async (by: TestUser, id: number) =>
    expect((await by.delete(`/posts/${id}`)).status).to.equal(204);

  /** What a socket and a poll with these topics are told from now on: of which deletions. */
  async function follow(user: TestUser, topics: string[]) {
    // A node that is behind the log would tell the socket of what was before.
    const after = await caughtUp(world);
    const socket = world.socket({ token: user.token, topics });
    const told: Told[] = listen(socket);
    const { seq: from } = await readyOf(socket);
    return async (): Promise<number[]> => {
      await headOf(world);
      const path = `/events?after=${after}&epoch=${world.ctx.feed.epoch}&topics=${topics.join()}`;
      const { events } = (await user.get<Listed>(path)).body;
      for (const { name, data } of events) expect([name, data.root_id]).to.deep.equal(['post:deleted', null]);
      await until('the same of the socket', () => eventsOf(told).length >= events.length);
      expect(chainFault(told, from)).to.equal(undefined);
      expect(eventsOf(told).map(({ seq }) => seq)).to.deep.equal(events.map(({ seq }) => seq));
      return events.map(({ data }) => data.id);
    };
  }

  const ways: Record<string, (by: TestUser, id: number) => Promise<unknown>> = {
    'is deleted': remove,
    'is withdrawn': (by, id) => by.patch(`/posts/${id}`, { published: false }),
    'goes with its account': (by) => by.delete('/users/me', { password: by.password }),
  };
  for (const [what, end] of Object.entries(ways))
    it(`is told to those who know only an author or a tag of a reply, where its post ${what}`, async () => {
      const owner = await world.user();
      const { id } = await writePost(owner, { content: 'post #root' });
      const first = await reply(bob, id, 'one #left');
      await reply(eve, first, 'below it #right');
      await reply(owner, id, 'of its owner #own');
      const gone = await reply(eve, id, 'gone before #gone');
      await remove(eve, gone);
      const topics = ['tag:left', 'tag:right', 'tag:own', `author:${bob.id}`, `author:${eve.id}`];
      const each = await Promise.all(topics.map((topic) => follow(reader, [topic])));
      const all = await follow(reader, ['public']);
      const several = await follow(reader, [...topics, 'tag:root']);
      const none = await follow(reader, ['tag:gone', `author:${ada.id}`]);
      await end(owner, id);
      await until('the end', async () => (await reader.get(`/posts/${id}`)).status === 404);
      for (const told of [...each, all, several]) expect(await told()).to.deep.equal([id]);
      expect(await none()).to.deep.equal([]);
      const [event] = await rows<{ topics: string[] }>(
        world,
        `select array_agg(topic) as topics from event_topics where seq = (
           select max(seq) from event_log where name = 'post:deleted' and entity_id = $1)`,
        [id],
      );
      expect(event?.topics, 'what is found in the log').to.include.members(topics);
    });

  it('is told in several events where its replies have more topics than one event is to have', async () => {
    const { id } = await writePost(ada);
    const tags = Array.from({ length: 210 }, (_, at) => `t${String(at).padStart(3, '0')}`);
    for (let at = 0; at < tags.length; at += 10)
      await reply(
        bob,
        id,
        tags
          .slice(at, at + 10)
          .map((tag) => `#${tag}`)
          .join(' '),
      );
    const each = await Promise.all(
      ['tag:t000', 'tag:t209', `author:${bob.id}`].map((topic) => follow(reader, [topic])),
    );
    const ofPost = await follow(reader, [`thread:${id}`]);
    const all = await follow(reader, ['public']);
    await remove(ada, id);
    for (const told of [...each, ofPost]) expect(await told()).to.deep.equal([id]);
    expect(await all()).to.deep.equal([id, id, id]);
  });

  it('of a hidden author is told to those from whom not all replies were hidden', async () => {
    const viewer = await world.user();
    const { id } = await writePost(ada);
    await reply(bob, id, 'seen #seen');
    const other = await writePost(ada);
    await reply(eve, other.id, 'hidden #seen');
    await viewer.put(`/users/${ada.id}/block`);
    await viewer.put(`/users/${eve.id}/mute`);
    const heard = await Promise.all(
      [['public'], ['tag:seen'], [`author:${bob.id}`]].map((topics) => follow(viewer, topics)),
    );
    await remove(ada, id);
    await remove(ada, other.id);
    for (const told of heard) expect(await told()).to.deep.equal([id]);
  });

  it('leaves nothing to reply to: a reply of which nothing is left is not found, one with others below it is deleted', async () => {
    const { id } = await writePost(ada);
    const alone = await reply(bob, id, 'alone');
    const above = await reply(bob, id, 'above');
    await reply(eve, above, 'below');
    await remove(bob, alone);
    await remove(bob, above);
    const tried = (to: number) => eve.post(`/posts/${to}/replies`, { content: 'late' });
    expectProblem(await tried(alone), 404, 'not_found');
    expectProblem(await eve.get(`/posts/${alone}`), 404, 'not_found');
    expectProblem(await tried(above), 409, 'conflict');
  });
});
