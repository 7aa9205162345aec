import { expect } from 'chai';
import type { Position, PostView, Ready, Tally } from '../server/contract.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

describe('the live feed, seen by a stock client', () => {
  let world: World;
  let alice: TestUser;
  let bob: TestUser;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
    bob = await world.user('bob');
  });
  after(() => world.close());

  it('tells a post written, edited, voted for and deleted, in order', async () => {
    const socket = world.socket({ token: bob.token });
    const ready = await new Promise<Ready>((resolve) => socket.once('ready', resolve));
    expect(ready).to.include({ outcome: 'current', user_id: bob.id });
    const heard: [string, Position][] = [];
    const tallies: Tally[] = [];
    socket.on('post:created', (_post, at) => heard.push(['created', at]));
    socket.on('post:updated', (_post, at) => heard.push(['updated', at]));
    socket.on('post:deleted', (_post, at) => heard.push(['deleted', at]));
    socket.on('votes', (some) => tallies.push(...some));

    const { body: post } = await alice.post<PostView>('/posts', { title: 'Hello', content: 'world' });
    // Of the vote of another one the owner would be told by an event that comes between these.
    await alice.post('/vote', { post_id: post.id, dir: 1 });
    await alice.patch(`/posts/${post.id}`, { title: 'Hi' });
    await until('the tally', () => tallies.some((tally) => tally.post_id === post.id && tally.votes === 1));
    await alice.delete(`/posts/${post.id}`);
    await until('three events', () => heard.length === 3);
    const first = ready.seq + 1;
    expect(heard).to.deep.equal([
      ['created', { seq: first, prev: first - 1 }],
      ['updated', { seq: first + 1, prev: first }],
      ['deleted', { seq: first + 2, prev: first + 1 }],
    ]);
  });
});
