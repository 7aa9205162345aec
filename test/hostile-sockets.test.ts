import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import { mutateFrame } from './fuzz/mutation.ts';
import { nastyFrames } from './fuzz/nasty-frames.ts';
import { Random } from './faults/random.ts';
import { payloadFault } from './support/frames.ts';
import { openMute, RawClient } from './support/raw-client.ts';
import { firstFault, type Heard, readyOf, record } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestSocket, type TestUser, type World } from './support/world.ts';

describe('hostile sockets', () => {
  let world: World;
  let alice: TestUser;
  let mallory: TestUser;
  let bystander: TestSocket;
  let heard: Heard[];
  let start: number;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
    mallory = await world.user('mallory');
    bystander = world.socket({ token: alice.token });
    heard = record(bystander);
    start = (await readyOf(bystander)).seq;
  });

  /** Whatever was done: the node serves on, and a bystander was handed every event. */
  afterEach(async () => {
    const { body } = await alice.post<{ id: number }>('/posts', { title: 'still here', content: '' });
    await until('the bystander', () => heard.at(-1)?.post.id === body.id);
    expect(
      firstFault(
        heard.map(({ seq }) => seq),
        start,
      ),
    ).to.be.undefined;
    expect(bystander.connected).to.be.true;
  });
  after(async () => {
    try {
      await until('only the bystander to be left', () => world.server.service.gateway.size === 1);
    } finally {
      await world.close();
    }
  });

  const join = () => RawClient.join(world.url, { token: mallory.token });

  it('may send each odd frame alone, before and after the handshake', async () => {
    for (const frame of nastyFrames) {
      const [stranger, member] = await Promise.all([RawClient.open(world.url), join()]);
      stranger.send(frame);
      member.send(frame);
      // Whatever it was: a well-formed request afterwards is answered, or the connection is closed.
      member.emit('feed:mode', { mode: 'live' }, 77);
      await until(
        `an answer after ${String(frame).slice(0, 40)}`,
        () => member.closed || member.frames.some((text) => text.startsWith('4377[')),
      );
      stranger.terminate();
      member.terminate();
    }
  });

  it('is told of a field without a name, as the documents say', async () => {
    const member = await join();
    member.send('425["feed:mode",{"mode":"live","":1}]');
    await until('an answer', () => member.frames.some((text) => text.startsWith('435[')));
    const answer = member.frames.find((text) => text.startsWith('435['));
    expect(answer).to.include('"loc":["payload",""]');
    expect(payloadFault('feedModeAnswer', JSON.parse(answer?.slice(3) ?? ''))).to.be.undefined;
    member.terminate();
  });

  it('may not give a request a number that is none', async () => {
    for (const id of ['1 2', '9'.repeat(16), '1'.repeat(22)]) {
      const member = await join();
      member.send(`42${id}["feed:mode",{"mode":"live"}]`);
      await until(`the close after ${id}`, () => member.closed);
      expect(member.frames.filter((text) => text.startsWith('43'))).to.be.empty;
    }
    const member = await join();
    member.send(`42${Number.MAX_SAFE_INTEGER}["feed:mode",{"mode":"live"}]`);
    await until('an answer', () =>
      member.frames.some((text) => text.startsWith(`43${Number.MAX_SAFE_INTEGER}[`)),
    );
    member.terminate();
  });

  it('may send them one after the other with random changes', async () => {
    const seed = randomInt(2 ** 31);
    const random = new Random(seed);
    let sent = 0;
    try {
      for (let round = 0; round < 60; round += 1) {
        const client = round % 2 === 0 ? await join() : await RawClient.open(world.url);
        for (let at = 0; at < 100 && !client.closed; at += 1) {
          client.send(mutateFrame(random.pick(nastyFrames), random));
          sent += 1;
          if (at % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
        }
        client.terminate();
      }
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    expect(sent).to.be.above(300);
  });

  it('may send bytes that are no WebSocket frames', async () => {
    const random = new Random(randomInt(2 ** 31));
    for (let round = 0; round < 100; round += 1) {
      const { tcp } = await openMute(world.url);
      tcp.write(Buffer.from(Array.from({ length: 200 }, () => random.below(256))));
      if (round % 2 === 0) tcp.destroy();
      else setTimeout(() => tcp.destroy(), 20);
    }
    await until('all to be gone', () => world.server.service.gateway.io.engine.clientsCount === 1);
  });

  it('is answered without an acknowledgement function, and with too many arguments, by nothing', async () => {
    const client = await join();
    for (const text of [
      '["track"]',
      '["track",{}]',
      '["track",1,2,3]',
      '["feed:mode",{"mode":"off"},7]',
      '[5]',
    ])
      client.send(`42${text}`);
    client.emit('feed:mode', { mode: 'count' }, 1);
    expect(await client.acknowledged(1)).to.deep.include({ ok: true });
    expect(client.frames.filter((frame) => frame.startsWith('43'))).to.have.lengthOf(1);
    client.terminate();
  });

  it('is told what a request without a payload lacks', async () => {
    const client = await join();
    for (const [at, name] of ['track', 'untrack', 'feed:mode', 'auth:renew'].entries()) {
      client.send(`42${at}["${name}"]`);
      const answer = (await client.acknowledged(at)) as { error: { status: number } };
      expect(answer.error.status, name).to.equal(422);
    }
    client.terminate();
  });

  it('is told that a number is no message', async () => {
    const client = await join();
    client.send('421[5,{}]');
    const answer = (await client.acknowledged(1)) as { error: { status: number; detail: string } };
    expect(answer.error).to.include({ status: 404, detail: 'Unknown message "5".' });
    client.terminate();
  });

  it('is told what is wrong with bytes, and gets no answer larger than what it may send', async () => {
    const client = await join();
    client.send('451-1["track",{"_placeholder":true,"num":0}]');
    client.send(Buffer.alloc(16_000, 1));
    expect(await client.acknowledged(1)).to.deep.include({ ok: false });
    client.send(`422["track",{"post_ids":[${Array.from({ length: 3000 }, () => '"x"').join()}]}]`);
    const answer = (await client.acknowledged(2)) as { error: { errors: unknown[] } };
    expect(answer.error.errors.length).to.be.within(1, 50);
    for (const frame of client.frames) expect(frame.length).to.be.below(16 * 1024);
    client.terminate();
  });

  it('hears too_many_requests above twenty messages a second, and is heard again after a pause', async () => {
    const client = await join();
    const began = performance.now();
    for (let id = 1; id <= 60; id += 1) client.emit('feed:mode', { mode: 'live' }, id);
    const answers = await Promise.all(
      Array.from(
        { length: 60 },
        (_, at) => client.acknowledged(at + 1) as Promise<{ error?: { status: number } }>,
      ),
    );
    const refused = answers.filter(({ error }) => error !== undefined);
    // Meanwhile twenty more a second may be said.
    const more = ((performance.now() - began) / 1000) * 20;
    expect(refused.length).to.be.within(Math.min(10, Math.max(0, 19 - more)), 20);
    for (const { error } of refused) expect(error?.status).to.equal(429);
    expect(client.closed).to.be.false;
    await new Promise((resolve) => setTimeout(resolve, 200));
    client.emit('feed:mode', { mode: 'live' }, 61);
    expect(await client.acknowledged(61)).to.deep.include({ ok: true });
    client.terminate();
  });

  it('is closed when it floods, at once or steadily', async () => {
    const burst = await join();
    for (let sent = 0; sent < 400; sent += 1) burst.emit('feed:mode', { mode: 'live' });
    await until('the end of the flood', () => burst.closed);
    expect(burst.heard('session:closed')[0]?.[0]).to.include({ code: 'flooding' });

    const steady = await join();
    const began = Date.now();
    while (!steady.closed && Date.now() - began < 30_000) {
      for (let sent = 0; sent < 5; sent += 1) steady.emit('nothing', {});
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(steady.closed).to.be.true;
    expect(steady.heard('session:closed')[0]?.[0]).to.include({ code: 'flooding' });
  });

  it('is closed when it floods with what is no request', async () => {
    for (const frame of ['430[]', '40/elsewhere,', '42["a"']) {
      const client = await join();
      for (let sent = 0; sent < 3000; sent += 1) client.send(frame);
      await until(`the end of the flood of ${frame}`, () => client.closed);
    }
  });

  it('is closed when it asks much and reads no answer, whatever its mode', async () => {
    const ids = Array.from({ length: 500 }, (_, at) => at + 1);
    await seedPosts(500);
    const client = await RawClient.join(world.url, { token: mallory.token, feed: 'off', tallies: 'none' });
    client.pause();
    const { gateway } = world.server.service;
    const began = Date.now();
    while (gateway.size > 1 && Date.now() - began < 120_000) {
      client.emit('track', { post_ids: ids }, 1);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(gateway.size).to.equal(1);
    client.terminate();
  });

  async function seedPosts(many: number): Promise<void> {
    await world.ctx.db.share('service').query(`
      with made as (
        insert into posts (owner_id, title, content) select ${alice.id}, 'p', '' from generate_series(1, ${many})
        returning id, listed_at
      ) insert into post_tallies (post_id, hot) select id, hot_rank(0, listed_at) from made`);
  }
});
