import { expect } from 'chai';
import type { Ready } from '../server/contract.ts';
import { chainFault, eventsOf, listen, positionOf, type Told } from './support/chain.ts';
import { EventStream } from './support/event-stream.ts';
import { writePost } from './support/posts.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { readyOf } from './support/sockets.ts';
import { startTwoNodes } from './support/two-nodes.ts';
import { headOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, signUp, type TestSocket, type TestUser, type World } from './support/world.ts';

interface Listener {
  socket: TestSocket;
  told: Told[];
  ready: Ready;
  from: number;
}

describe('hidden authors', () => {
  let world: World;
  let ada: TestUser;
  let ben: TestUser;
  let eve: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 50 });
  });
  beforeEach(async () => {
    [ada, ben, eve] = await Promise.all([world.user(), world.user(), world.user()]);
  });
  afterEach(endRawClients);
  after(() => world.close());

  async function join(
    user: TestUser,
    topics?: string[],
    more: { after?: number; feed?: 'live' | 'count' } = {},
  ): Promise<Listener> {
    const socket = world.socket({ token: user.token, ...(topics && { topics }), ...more });
    const told = listen(socket);
    const ready = await readyOf(socket);
    return { socket, told, ready, from: more.after ?? ready.seq };
  }

  async function heardAll(...listeners: Listener[]): Promise<void> {
    const head = await headOf(world);
    await until('everything', () => listeners.every(({ told, from }) => positionOf(told, from) >= head));
    for (const { told, from } of listeners) expect(chainFault(told, from)).to.equal(undefined);
  }

  const posts = ({ told }: Listener) =>
    eventsOf(told)
      .filter(({ name }) => name?.startsWith('post:'))
      .map(({ id }) => id);
  const put = (user: TestUser, kind: string, other: TestUser) =>
    user.put<{ seq: number }>(`/users/${other.id}/${kind}`).then(({ body }) => body.seq);

  it('are left out of everything public from the block on, on both sides, and a beacon comes in their place', async () => {
    const [first, second, third] = [await join(ada), await join(ben), await join(eve)];
    const before = await writePost(ben);
    // Delivered before the block: on a busy node it would be hidden.
    await heardAll(first, second, third);
    await put(ada, 'block', ben);
    const [bens, adas, eves] = [await writePost(ben), await writePost(ada), await writePost(eve)];
    await heardAll(first, second, third);
    expect(posts(first)).to.deep.equal([before.id, adas.id, eves.id]);
    expect(posts(second)).to.deep.equal([before.id, bens.id, eves.id]);
    expect(posts(third)).to.deep.equal([before.id, bens.id, adas.id, eves.id]);
    // What comes last is hidden: only the beacon moves the position.
    await ben.delete(`/posts/${bens.id}`);
    await heardAll(first);
    expect(posts(first)).to.have.lengthOf(3);
    expect(first.told.at(-1)?.name).to.equal(undefined);
  });

  it('are left out of replays and pages at once, also of what came before', async () => {
    const from = await headOf(world);
    const bens = await writePost(ben);
    const eves = await writePost(eve);
    await put(ada, 'block', ben);
    for (const topics of [undefined, ['feed'], [`author:${ben.id}`, `author:${eve.id}`]]) {
      const back = await join(ada, topics, { after: from });
      await heardAll(back);
      expect(posts(back)).to.deep.equal([eves.id]);
      const query = topics ? `&topics=${topics.join()}` : '';
      const { body } = await ada.get<{ events: { name: string; data: { id?: number } }[] }>(
        `/events?after=${from}${query}`,
      );
      expect(
        body.events.filter(({ name }) => name === 'post:created').map(({ data }) => data.id),
      ).to.deep.equal([eves.id]);
      const stream = await EventStream.open(ada, `?after=${from}${query}`);
      await until('the post of the other', () => stream.heard.some(({ event }) => event === 'post:created'));
      stream.close();
      const streamed = stream.heard.filter(({ event }) => event === 'post:created');
      expect(streamed.map(({ data }) => (JSON.parse(data) as { id: number }).id)).to.deep.equal([eves.id]);
    }
    // The one who ends the block has all of it again.
    await ada.delete(`/users/${ben.id}/block`);
    const again = await join(ada, ['feed'], { after: from });
    await heardAll(again);
    expect(posts(again)).to.deep.equal([bens.id, eves.id]);
  });

  it('whom one has muted come where one asks for them by name, and nowhere else', async () => {
    await put(ada, 'follow', ben);
    const home = await join(ada, ['home', 'feed']);
    const named = await join(ada, [`author:${ben.id}`]);
    const other = await join(ben, ['feed']);
    await put(ada, 'mute', ben);
    const bens = await writePost(ben);
    const adas = await writePost(ada);
    await heardAll(home, named, other);
    expect(posts(home)).to.deep.equal([adas.id]);
    expect(posts(named)).to.deep.equal([bens.id]);
    expect(posts(other)).to.deep.equal([bens.id, adas.id]);
    await put(ada, 'block', ben);
    await writePost(ben);
    await heardAll(named);
    expect(posts(named)).to.deep.equal([bens.id]);
  });

  it('are not counted, and events of other topics are not either', async () => {
    await put(ada, 'mute', ben);
    const counts: number[] = [];
    for (const topics of [undefined, ['feed'], [`author:${ada.id}`]]) {
      const counting = await join(ada, topics, { feed: 'count' });
      const at = counts.push(0) - 1;
      counting.socket.on('feed:count', ({ count }) => (counts[at]! += count));
    }
    await writePost(ben);
    await writePost(eve);
    await writePost(ada);
    await until('all counts', () => counts[0] === 2 && counts[1] === 2 && counts[2] === 1);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(counts).to.deep.equal([2, 2, 1]);
  });

  it('are taken out of what a slow connection has not been sent yet: it ends, and resumes without them', async () => {
    const slow = await RawClient.join(world.url, { token: ada.token });
    const from = await headOf(world);
    slow.pause();
    const secret = 'x'.repeat(9000);
    const serverSide = () => [...world.server.service.gateway.io.of('/').sockets.values()].at(-1)!;
    const subscriber = serverSide().data as { pending: number };
    let written = 0;
    for (; subscriber.pending === 0; written += 20)
      await Promise.all(Array.from({ length: 20 }, () => writePost(ben, { content: secret })));
    await put(ada, 'block', ben);
    slow.resume();
    await until('the end', () => slow.closed);
    expect(slow.seqs().length).to.be.below(written);
    const back = await join(ada, undefined, { after: from });
    await heardAll(back);
    expect(posts(back)).to.deep.equal([]);
  });
});

describe('a block', () => {
  it('holds on every node once it is answered, also on one that was stopped meanwhile', async () => {
    const nodes = await startTwoNodes();
    const { first, second } = nodes;
    try {
      const [ada, ben] = [await signUp(first.url), await signUp(first.url)];
      const clients = await Promise.all([
        RawClient.join(second.url, { token: ada.token }),
        RawClient.join(second.url, { token: ada.token, topics: ['feed', `author:${ben.id}`] }),
      ]);
      const heardOf = (words: string) =>
        clients.some(({ frames }) => frames.some((frame) => frame.includes(words)));
      await writePost(ben, { content: 'before the block' });
      await until('what came before', () =>
        clients.every(({ events }) => events.some(({ name }) => name === 'post:created')),
      );
      process.kill(second.pid, 'SIGSTOP');
      await writePost(ben, { content: 'words that nobody may hear' });
      expect((await ada.put(`/users/${ben.id}/block`)).status).to.equal(200);
      process.kill(second.pid, 'SIGCONT');
      await new Api(first.url, ada.token).post('/posts', { title: 'after', content: 'after the block' });
      await until('what came after', () =>
        clients.every(({ frames }) => frames.some((frame) => frame.includes('after the block'))),
      );
      expect(heardOf('words that nobody may hear')).to.equal(false);
    } finally {
      endRawClients();
      await nodes.stop();
    }
  });
});
