import { Parser } from '@asyncapi/parser';
import { expect } from 'chai';
import type { PostView, Tally } from '../server/contract.ts';
import { resolveCases } from '../server/moderation/cases.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { requests } from '../server/transports/socketio/requests.ts';
import { count, exactly, id, object } from '../server/api/schema.ts';
import { tally } from '../server/votes/schemas.ts';
import { payloadFault, socketDocument, validateFrame, watchFrames } from './support/frames.ts';
import { readyOf, refusalOf } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, logIn, type TestUser, type World } from './support/world.ts';

// It may not drift from the type: this does not compile if it does.
exactly<Tally>()(tally);
// @ts-expect-error -- a key that the type has and the schema has not
exactly<Tally>()(object({ post_id: id(), votes: count() }));
// @ts-expect-error -- a key that the schema has and the type has not
exactly<{ post_id: number }>()(object({ post_id: id(), votes: count() }));

/** Diagnostics above it are hints, such as that there is a newer AsyncAPI. */
const WARNING = 1;

describe('the AsyncAPI document', () => {
  it('is valid AsyncAPI 3', async () => {
    const diagnostics = await new Parser().validate(JSON.stringify(socketDocument));
    const faults = diagnostics.filter(({ severity }) => (severity as number) <= WARNING);
    expect(faults.map(({ message, path }) => `${path.join('/')}: ${message}`)).to.deep.equal([]);
  });

  it('has every request that the gateway answers, with its acknowledgement, and no other', () => {
    const { operations, components } = socketDocument;
    const told = Object.values(operations).filter(({ action }) => action === 'receive');
    expect(told.map(({ title }) => title)).to.have.members(['connect', ...Object.keys(requests)]);
    for (const { title, reply } of told) expect(reply?.messages, title).not.to.be.empty;
    expect(Object.keys(socketDocument.channels.feed?.messages ?? {})).to.have.members(
      Object.keys(components.messages),
    );
  });

  it('has schemas that compile', () => {
    const messages = Object.keys(socketDocument.components.messages);
    for (const key of messages) expect(payloadFault(key, undefined)).to.be.a('string');
  });

  it('catches a frame that it does not tell of', () => {
    const asked = new Map<number, string>();
    const sent = (frame: string) => validateFrame('send', frame, asked);
    expect(sent('42["feed:head",{"seq":1,"prev":1}]')).to.deep.equal({ message: 'feedHead' });
    expect(sent('42["feed:head",{"seq":1,"prev":1,"user":2}]'))
      .to.have.property('fault')
      .that.includes('additional');
    expect(sent('42["feed:head",{"seq":"1","prev":1}]')).to.have.property('fault');
    expect(sent('42["feed:head"]')).to.have.property('fault');
    expect(sent('42["feed:tail",{"seq":1,"prev":1}]')).to.have.property('fault').that.includes('feed:tail');
    expect(sent('42["track",{"post_ids":[]}]')).to.have.property('fault');
    expect(sent('44{"message":"no"}')).to.have.property('fault');
    expect(validateFrame('receive', '427["untrack",{"post_ids":[1]}]', asked)).to.have.property('message');
    expect(sent('437[{"ok":true,"data":{"tracked":"none"}}]')).to.have.property('fault');
    expect(sent('2')).to.equal(undefined);
    expect(sent('44/admin,{"message":"Invalid namespace"}')).to.equal(undefined);
    expect(sent('42/admin,["feed:head",{"seq":1,"prev":1}]')).to.have.property('fault');
  });

  describe('beside a running gateway', () => {
    let world: World;
    let alice: TestUser;
    let bob: TestUser;

    before(async () => {
      world = await createWorld();
      alice = await world.user('alice');
      bob = await world.user('bob');
    });
    after(() => world.close());

    it('is what the server serves', async () => {
      const { body } = await world.anonymous.get<typeof socketDocument>('/asyncapi.json');
      expect(body.components).to.deep.equal(structuredClone(socketDocument.components));
      expect(body.operations).to.deep.equal(structuredClone(socketDocument.operations));
    });

    it('tells of every frame of a connection as it is', async () => {
      const live = world.socket({ token: bob.token });
      const heard = watchFrames(live);
      const ready = await readyOf(live);
      const counting = world.socket({ token: alice.token, feed: 'count', tallies: 'tracked' });
      const counted = watchFrames(counting);
      await readyOf(counting);
      const narrow = world.socket({ token: bob.token, topics: ['home'] });
      const narrowed = watchFrames(narrow);
      const { seq: from } = await readyOf(narrow);

      const { body: post } = await alice.post<PostView>('/posts', { title: 'Hello', content: 'world' });
      const others: unknown[] = [
        await counting.emitWithAck('track', { post_ids: [post.id] }),
        await counting.emitWithAck('track', { post_ids: [0] }),
        await live.emitWithAck('untrack', { post_ids: [post.id] }),
        await live.emitWithAck('feed:mode', { mode: 'live' }),
        await live.emitWithAck('auth:renew', { token: bob.token }),
        await live.emitWithAck('auth:renew', { token: alice.token }),
        await narrow.emitWithAck('subscribe', { topics: [`author:${alice.id}`], from }),
        await live.emitWithAck('subscribe', { topics: ['feed'] }),
        await narrow.emitWithAck('unsubscribe', { topics: [`author:${alice.id}`] }),
      ];
      expect(others.map((answer) => (answer as { ok: boolean }).ok)).to.deep.equal([
        true,
        false,
        true,
        true,
        true,
        false,
        true,
        false,
        true,
      ]);
      await bob.put(`/posts/${post.id}/vote`);
      await alice.patch(`/posts/${post.id}`, { title: 'Hi' });
      await until('the tally', () => heard.seen.has('votes') && counted.seen.has('votes'));
      for (const kind of ['follow', 'mute', 'block']) {
        await bob.put(`/users/${alice.id}/${kind}`);
        await bob.delete(`/users/${alice.id}/${kind}`);
      }
      await until('the end of the block', () => heard.seen.has('blockRemoved'));
      const { body: own } = await bob.post<PostView>('/posts', { title: 'Mine', content: '' });
      await alice.put(`/posts/${own.id}/vote`);
      await until('the vote', () => heard.seen.has('notificationAdded'));
      await bob.put('/notifications/read', { up_to: 1 });
      await bob.delete(`/posts/${own.id}`);
      await until('the end of the notification', () => heard.seen.has('notificationRemoved'));
      await world.ctx.db.transaction((tx) => grantRole(tx, bob.username, 'moderator', ''));
      await until('the role', () => heard.seen.has('roleChanged'));
      await alice.put(`/users/${bob.id}/report`, { reason: 'spam' });
      await world.ctx.db.transaction(async (tx) =>
        (await resolveCases(tx, { userId: bob.id }, 'dismiss'))[0]?.tell(),
      );
      await until('the end of the case', () => heard.seen.has('reportResolved'));
      await alice.delete(`/posts/${post.id}`);
      await until(
        'the beacon and the count',
        () => heard.seen.has('feedHead') && counted.seen.has('feedCount'),
      );
      await until('the deletion', () => heard.seen.has('postDeleted'));

      // A replay of a post that is gone by now: its text is redacted.
      const replayed = world.socket({ token: bob.token, after: ready.seq, epoch: ready.epoch });
      const replay = watchFrames(replayed);
      expect(await readyOf(replayed)).to.include({ outcome: 'replayed' });
      const ahead = world.socket({ token: bob.token, after: ready.seq + 1000, epoch: ready.epoch });
      const reset = watchFrames(ahead);
      expect(await readyOf(ahead)).to.include({ outcome: 'reset', reason: 'future' });
      const stranger = world.socket({ token: 'none' });
      const refused = watchFrames(stranger);
      await refusalOf(stranger);

      await bob.post('/logout');
      await until('the end', () => heard.seen.has('sessionClosed'));

      const all = [heard, counted, narrowed, replay, reset, refused];
      expect(all.flatMap(({ faults }) => faults)).to.deep.equal([]);
      // What was asked wrong on purpose: a post_id of 0.
      expect(all.flatMap(({ clientFaults }) => clientFaults)).to.have.lengthOf(1);
      expect([...refused.seen.keys()]).to.include('connectError');
      const seen = new Set(all.flatMap((watched) => [...watched.seen.keys()]));
      const told = Object.keys(socketDocument.components.messages);
      expect([...seen]).to.have.members(told.filter((key) => key !== 'sessionExpiring'));
    });
  });

  it('tells of the warning before the end of a token as it is', async () => {
    const world = await createWorld({ ACCESS_TOKEN_TTL: '4s' });
    try {
      const user = await world.user();
      const outcomes = ['sessionExpiring', 'sessionClosed', 'connectError'];
      // On a machine that is held up a token may end before its socket is there: then a new one is tried.
      for (let warned = false; !warned;) {
        const { token } = await logIn(world.url, user);
        const watched = watchFrames(world.socket({ token }));
        await until('the warning, or the end', () => outcomes.some((outcome) => watched.seen.has(outcome)));
        expect(watched.faults).to.deep.equal([]);
        warned = watched.seen.has('sessionExpiring');
      }
    } finally {
      await world.close();
    }
  });
});
