import { expect } from 'chai';
import { type Client, createClient, type LiveEvent } from '../client/src/index.ts';
import { refusal } from './support/refusal.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

describe("the client's follows, blocks and mutes", () => {
  let world: World;
  let alice: Client;
  let bob: Client;
  let ids: { alice: number; bob: number };

  before(async () => {
    world = await createWorld();
    alice = createClient({ url: world.url });
    bob = createClient({ url: world.url });
    ids = {
      alice: (await alice.signUp({ email: 'alice@example.org', password: PASSWORD, username: 'alice' })).id,
      bob: (await bob.signUp({ email: 'bob@example.org', password: PASSWORD, username: 'bob' })).id,
    };
  });
  after(() => world.close());

  it('follows and unfollows, lists both sides, and both hear of it', async () => {
    const feeds = [alice.feed(), bob.feed()];
    const heard: string[][] = [[], []];
    feeds.forEach((feed, at) => {
      feed.on('follow:added', ({ follower, followee, refresh = false }) =>
        heard[at]?.push(`${follower.username} follows ${followee.username}, refresh: ${refresh}`),
      );
      feed.on('follow:removed', ({ follower }) => heard[at]?.push(`${follower.username} no longer`));
    });
    await Promise.all(feeds.map((feed) => feed.ready()));
    const followed = await alice.users.follow(ids.bob);
    expect(followed).to.include({ user_id: ids.bob, followed: true, blocked: false, muted: false });
    expect(await alice.users.follow(ids.bob)).to.deep.equal(followed);
    const { users, position, next } = await bob.users.followers(ids.bob);
    expect(users.map(({ user }) => user)).to.deep.equal([{ id: ids.alice, username: 'alice' }]);
    expect(position.seq).to.be.at.least(followed.seq);
    expect(next).to.equal(undefined);
    expect((await bob.users.following(ids.alice)).users).to.have.length(1);
    expect((await alice.users.unfollow(ids.bob)).seq).to.be.greaterThan(followed.seq);
    expect((await alice.users.following(ids.alice)).users).to.deep.equal([]);
    await until('both have heard', () => heard.every(({ length }) => length === 2));
    expect(heard).to.deep.equal([
      ['alice follows bob, refresh: true', 'alice no longer'],
      ['alice follows bob, refresh: false', 'alice no longer'],
    ]);
    for (const feed of feeds) feed.close();
  });

  it('blocks and mutes, and nobody else hears of it', async () => {
    const feeds = [alice.feed(), bob.feed()];
    const heard: LiveEvent[][] = [[], []];
    feeds.forEach((feed, at) => feed.on('event', (event) => heard[at]?.push(event)));
    await Promise.all(feeds.map((feed) => feed.ready()));
    expect(await alice.users.block(ids.bob)).to.include({ blocked: true });
    expect(await refusal(alice.users.follow(ids.bob))).to.include({ code: 'forbidden' });
    expect((await alice.users.blocks()).users.map(({ user }) => user.id)).to.deep.equal([ids.bob]);
    await alice.users.unblock(ids.bob);
    await alice.users.mute(ids.bob);
    expect((await alice.users.mutes()).users.map(({ user }) => user.id)).to.deep.equal([ids.bob]);
    await alice.users.unmute(ids.bob);
    const last = await bob.posts.create({ title: 'After it', content: '' });
    const hasPost = (events: LiveEvent[]) =>
      events.some(({ name, data }) => name === 'post:created' && 'id' in data && data.id === last.id);
    await until('both have heard the post', () => heard.every(hasPost));
    expect(heard.map((events) => events.map(({ name }) => name))).to.deep.equal([
      ['block:added', 'block:removed', 'mute:added', 'mute:removed', 'post:created'],
      ['post:created'],
    ]);
    for (const feed of feeds) feed.close();
  });

  it('reads the home page, and lists of others page by page', async () => {
    await alice.users.follow(ids.bob);
    const carol = createClient({ url: world.url });
    const { id } = await carol.signUp({ email: 'carol@example.org', password: PASSWORD, username: 'carol' });
    await carol.posts.create({ title: 'By carol', content: '' });
    const home = async () =>
      (await alice.posts.list({ view: 'home' })).posts.map(({ owner }) => owner.username);
    expect(new Set(await home())).to.deep.equal(new Set(['bob']));
    await alice.users.follow(id);
    expect(new Set(await home())).to.deep.equal(new Set(['bob', 'carol']));
    const first = await alice.users.following(ids.alice, { limit: 1 });
    const second = await alice.users.following(ids.alice, { limit: 1, cursor: first.next });
    expect([...first.users, ...second.users].map(({ user }) => user.username)).to.deep.equal([
      'carol',
      'bob',
    ]);
    expect(second.next).to.equal(undefined);
  });
});
