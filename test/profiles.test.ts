import { expect } from 'chai';
import type { OwnUser, PublicUser } from '../server/users/present.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { Api, createWorld, type TestUser, type World } from './support/world.ts';

describe('a public profile', () => {
  let world: World;
  let ada: TestUser;
  let ben: TestUser;
  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 20 });
  });
  beforeEach(async () => {
    ada = await world.user();
    ben = await world.user();
  });
  after(() => world.close());

  async function profile(api: Api, user: TestUser): Promise<PublicUser> {
    const [byId, byName] = await Promise.all([
      api.get<PublicUser>(`/users/${user.id}`),
      api.get<PublicUser>(`/users/by-name/${user.username.toUpperCase()}`),
    ]);
    expect(byId.status).to.equal(200);
    expect(byName.body).to.deep.equal(byId.body);
    return byId.body;
  }

  it('counts published posts, followers and followees, at once', async () => {
    const cid = await world.user();
    const { id } = await writePost(ada);
    await writePost(ada);
    await writePost(ada, { published: false });
    for (const user of [ben, cid]) await user.put(`/users/${ada.id}/follow`);
    await ada.put(`/users/${ben.id}/follow`);
    expect(await profile(world.anonymous, ada)).to.include({ posts: 2, followers: 2, following: 1 });
    await ada.delete(`/posts/${id}`);
    await ben.delete(`/users/${ada.id}/follow`);
    expect(await profile(world.anonymous, ada)).to.include({ posts: 1, followers: 1, following: 1 });
    await cid.delete('/users/me', { password: cid.password });
    expect(await profile(world.anonymous, ada)).to.include({ posts: 1, followers: 0, following: 1 });
    await ada.put(`/users/${ben.id}/block`);
    expect(await profile(world.anonymous, ada)).to.include({ followers: 0, following: 0 });
  });

  it('tells a user what they are to the other one, and never what the other one is to them', async () => {
    const none = { followed: false, blocked: false, muted: false };
    const flags = async (viewer: TestUser, user: TestUser) => {
      const { followed, blocked, muted } = await profile(viewer, user);
      return { followed, blocked, muted };
    };
    expect(await flags(ben, ada)).to.deep.equal(none);
    expect(await flags(ada, ada)).to.deep.equal(none);
    await ben.put(`/users/${ada.id}/follow`);
    await ben.put(`/users/${ada.id}/mute`);
    expect(await flags(ben, ada)).to.deep.equal({ ...none, followed: true, muted: true });
    expect(await flags(ada, ben)).to.deep.equal(none);
    await ada.put(`/users/${ben.id}/block`);
    expect(await flags(ada, ben)).to.deep.equal({ ...none, blocked: true });
    expect(await flags(ben, ada)).to.deep.equal({ ...none, muted: true });
    expect(Object.keys(await profile(world.anonymous, ada))).not.to.include.members(Object.keys(none));
  });

  it('has what the user says of themselves', async () => {
    const bio = 'Counts engines.\nنعم 🎉 <b>';
    const edited = await ada.patch<OwnUser>('/users/me', { bio });
    expect(edited.body).to.include({ bio, username: ada.username });
    expect((await ada.get<OwnUser>('/users/me')).body.bio).to.equal(bio);
    expect((await profile(world.anonymous, ada)).bio).to.equal(bio);
    expect((await ada.patch<OwnUser>('/users/me', { bio: '' })).body.bio).to.equal('');
    expect((await ada.patch('/users/me', { bio: '🎉'.repeat(500) })).status).to.equal(200);
    for (const bad of ['x'.repeat(501), 'a\0b', '\ud800', 5, null])
      expect(faultsOf(await ada.patch('/users/me', { bio: bad })), String(bad)).to.deep.equal(['body.bio']);
  });

  it('is a 404 where there is nobody, and of an account that is gone, for everyone', async () => {
    await ben.delete('/users/me', { password: ben.password });
    for (const api of [world.anonymous, ada]) {
      for (const path of [`/users/${2 ** 40}`, '/users/by-name/no-such-user', `/users/${ben.id}`])
        expectProblem(await api.get(path), 404);
      expectProblem(await api.get(`/users/by-name/${ben.username}`), 404);
      expect(faultsOf(await api.get('/users/by-name/a%20b'))).to.deep.equal(['path.username']);
      expect(faultsOf(await api.get('/users/by-name/x'))).to.deep.equal(['path.username']);
      expect(faultsOf(await api.get('/users/0'))).to.deep.equal(['path.id']);
    }
  });

  it('needs no token, and refuses one that is not valid', async () => {
    for (const path of [`/users/${ada.id}`, `/users/by-name/${ada.username}`]) {
      expect((await world.anonymous.get(path)).status).to.equal(200);
      expectProblem(await new Api(world.url, 'none').get(path), 401);
    }
    await ben.post('/logout');
    expectProblem(await ben.get(`/users/${ada.id}`), 401);
  });

  it('is right for everyone who asks for many at the same moment', async () => {
    const users = await Promise.all(Array.from({ length: 12 }, () => world.user()));
    await Promise.all(users.map((user) => ada.put(`/users/${user.id}/follow`)));
    const profiles = await Promise.all(
      users.flatMap((user) => [profile(ada, user), profile(world.anonymous, user), profile(user, ada)]),
    );
    for (const [at, user] of users.entries()) {
      const [seen, open, own] = profiles.slice(3 * at);
      expect(seen).to.include({ id: user.id, username: user.username, followers: 1, followed: true });
      expect(open).to.include({ id: user.id, followers: 1 }).and.not.have.property('followed');
      expect(own).to.include({ id: ada.id, following: 12, followed: false });
    }
  });
});
