import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import { openMute, RawClient } from './support/raw-client.ts';
import { firstFault, type Heard, readyOf, record } from './support/sockets.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestSocket, type TestUser, type World } from './support/world.ts';

/** Frames that break a rule of Engine.IO, of Socket.IO or of ours, each in its own way. */
const FRAMES: (string | Buffer)[] = [
  '',
  '2probe',
  '5',
  '6',
  '9',
  '1',
  '2',
  'x',
  '4',
  '44"error"',
  '40',
  '40{}',
  '40[1]',
  '40/admin,{"token":1}',
  '40/__proto__,',
  '41',
  '41/admin,',
  '42',
  '42{}',
  '42[]',
  '42[null]',
  '42[1]',
  '42[1,{"post_ids":[1]}]',
  '420[7]',
  '42["connect"]',
  '42["disconnect"]',
  '42["disconnecting"]',
  '42["newListener",1]',
  '42["error"]',
  '420["error",{"message":"x"}]',
  '42["__proto__"]',
  '421["constructor",{}]',
  '422["track"]',
  '423["track",{"post_ids":[1]},{"post_ids":[2]},3]',
  '424["track",{"post_ids":[1e999]}]',
  '425["track",{"__proto__":{"post_ids":[1]}}]',
  `426["track",{"post_ids":${'['.repeat(3000)}${']'.repeat(3000)}}]`,
  `427["track",${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}]`,
  `428["track",{${Array.from({ length: 1500 }, (_, at) => `"k${at}":1`).join()}}]`,
  `429["track",{"post_ids":[${Array.from({ length: 3000 }, () => '"x"').join()}]}]`,
  '42100000000000000000000["track",{"post_ids":[1]}]',
  '4299999999999999999999999["feed:mode",{"mode":"live"}]',
  '42-1["track",{"post_ids":[1]}]',
  '4210["auth:renew",{"token":""}]',
  '4211["auth:renew",{"token":["a"]}]',
  '42["auth:renew",null]',
  '42["feed:mode",{"mode":"\\ud800"}]',
  '42["track\\u0000",{"post_ids":[1]}]',
  '43[]',
  '430["nobody asked"]',
  '431e20[1]',
  '43',
  '451-',
  '451-["track",{"_placeholder":true,"num":0}]',
  '459999999-["track",{"_placeholder":true,"num":0}]',
  '450-["track",{"post_ids":[1]}]',
  '451-["track",{"_placeholder":true,"num":5}]',
  '451-/admin,1["x",{"_placeholder":true,"num":0}]',
  '461-1[{"_placeholder":true,"num":0}]',
  'b',
  'bAAAA',
  Buffer.from([0]),
  Buffer.alloc(0),
  Buffer.alloc(1000, 255),
  Buffer.from('42["track"]'),
];

describe('hostile sockets', function () {
  this.timeout(60_000);
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

  /** Whatever was done: the node serves on, and a bystander was handed every event within a second. */
  afterEach(async () => {
    const { body } = await alice.post<{ id: number }>('/posts', { title: 'still here', content: '' });
    await until('the bystander', () => heard.at(-1)?.post.id === body.id, 1000);
    expect(
      firstFault(
        heard.map(({ seq }) => seq),
        start,
      ),
    ).to.be.undefined;
    expect(bystander.connected).to.be.true;
  });
  after(async () => {
    await until('only the bystander to be left', () => world.server.service.gateway.size === 1);
    await world.close();
  });

  const join = () => RawClient.join(world.url, { token: mallory.token });

  it('may send each odd frame alone, before and after the handshake', async () => {
    for (const frame of FRAMES) {
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

  it('may send them one after the other with random changes', async () => {
    const seed = randomInt(2 ** 31);
    const random = generator(seed);
    let sent = 0;
    try {
      for (let round = 0; round < 60; round += 1) {
        const client = round % 2 === 0 ? await join() : await RawClient.open(world.url);
        for (let at = 0; at < 100 && !client.closed; at += 1) {
          client.send(mutate(FRAMES[Math.floor(random() * FRAMES.length)] ?? '', random));
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
    const random = generator(randomInt(2 ** 31));
    for (let round = 0; round < 100; round += 1) {
      const { tcp } = await openMute(world.url);
      tcp.write(Buffer.from(Array.from({ length: 200 }, () => Math.floor(random() * 256))));
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

  it('is told that a number is no message', async () => {
    const client = await join();
    client.send('421[5,{}]');
    const answer = (await client.acknowledged(1)) as { error: { status: number; detail: string } };
    expect(answer.error).to.include({ status: 404, detail: 'There is no message "5".' });
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
    for (let id = 1; id <= 60; id += 1) client.emit('feed:mode', { mode: 'live' }, id);
    const answers = await Promise.all(
      Array.from(
        { length: 60 },
        (_, at) => client.acknowledged(at + 1) as Promise<{ error?: { status: number } }>,
      ),
    );
    const refused = answers.filter(({ error }) => error !== undefined);
    expect(refused.length).to.be.within(10, 20);
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
    while (!steady.closed && Date.now() - began < 8000) {
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
    while (gateway.size > 1 && Date.now() - began < 45_000) {
      client.emit('track', { post_ids: ids }, 1);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(gateway.size).to.equal(1);
    client.terminate();
  });

  async function seedPosts(many: number): Promise<void> {
    await world.ctx.db.sequelize.query(`
      with made as (
        insert into posts (owner_id, title, content) select ${alice.id}, 'p', '' from generate_series(1, ${many})
        returning id, listed_at
      ) insert into post_tallies (post_id, hot) select id, hot_rank(0, listed_at) from made`);
  }
});

/** A small generator (mulberry32), so that a run can be repeated from its seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One frame with a few bytes changed, doubled, cut off or put in. */
function mutate(frame: string | Buffer, random: () => number): string | Buffer {
  const bytes = [...Buffer.from(frame)];
  const changes = Math.floor(random() * 4);
  for (let change = 0; change < changes; change += 1) {
    const at = Math.floor(random() * (bytes.length + 1));
    const kind = random();
    if (kind < 0.4) bytes.splice(at, 1, Math.floor(random() * 256));
    else if (kind < 0.7)
      bytes.splice(at, 0, ...Buffer.from('0123456789[]{}",-/\\:'.charAt(Math.floor(random() * 20))));
    else if (kind < 0.9) bytes.splice(at, Math.ceil(random() * 5));
    else bytes.splice(at, 0, ...bytes.slice(at, at + 50));
  }
  const changed = Buffer.from(bytes);
  return typeof frame === 'string' && random() < 0.9 ? changed.toString() : changed;
}
