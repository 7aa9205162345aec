import { expect } from 'chai';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { PendingResponses } from '../server/http/pending-responses.ts';
import type { EventPage } from '../client/src/client.ts';
import { appendPosts } from './support/append-sql.ts';
import { execute, headOf } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const MEBIBYTE = 1024 * 1024;

/** A connection that sends this and never reads. */
function ask(url: string, requests: string): { tcp: Socket; closed: () => boolean } {
  const { hostname, port } = new URL(url);
  const tcp = connect(Number(port), hostname, () => tcp.write(requests)).on('error', () => undefined);
  tcp.pause();
  let closed = false;
  // Who does not read is not told of the end either: a write tells.
  const look = setInterval(() => tcp.write('\r\n'), 100);
  tcp.on('close', () => {
    clearInterval(look);
    closed = true;
  });
  return { tcp, closed: () => closed };
}

describe('answers that nobody reads', () => {
  let world: World;
  let ada: TestUser;
  let mallory: TestUser;
  const open: { tcp: Socket; closed: () => boolean }[] = [];

  before(async () => {
    world = await createWorld();
    ada = await world.user();
    mallory = await world.user();
    // Each character is six bytes of JSON.
    await execute(
      world,
      `with written as (
         insert into posts (owner_id, title, content)
         select $1, 'large ' || n, repeat(chr(1), 10000) from generate_series(1, 100) n returning id
       ), tallied as (insert into post_tallies (post_id, hot) select id, 0 from written)
       ${appendPosts(`select 'post:created', w.id, json_build_object('id', w.id, 'title', 't', 'content', repeat(chr(1), 10000))
       from written w order by w.id`)}`,
      [mallory.id],
    );
    await headOf(world);
  });
  afterEach(() => {
    for (const { tcp } of open.splice(0)) tcp.destroy();
  });
  after(() => world.close());

  const abandoned = async (reason: string) => {
    const { values } = await world.ctx.metrics.responsesAbandoned.get();
    return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  };

  it('hold a bounded amount of memory, and cost a reader who reads nothing', async () => {
    const { pendingResponses: answers } = world.ctx;
    const request = (limit: number) =>
      `GET /posts?limit=${limit} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${mallory.token}\r\n\r\n`;
    const whole = (await ada.get<unknown[]>('/posts?limit=100')).body;
    expect(JSON.stringify(whole).length).to.be.greaterThan(6_000_000);
    await until('all to have left', () => answers.count === 0);

    const before = process.memoryUsage.rss();
    let [mostHeld, mostMemory] = [0, 0];
    const watch = setInterval(() => {
      mostHeld = Math.max(mostHeld, answers.bytes);
      mostMemory = Math.max(mostMemory, process.memoryUsage.rss() - before);
    }, 1);
    // Five behind one another on each connection, of as many different pages: more than a gigabyte.
    const requests = [100, 99, 98, 97, 96].map(request).join('');
    for (let n = 0; n < 40; n += 1) open.push(ask(world.url, requests));
    await until('the first to be given up', async () => (await abandoned('maxBytes')) > 0);
    for (let n = 0; n < 3; n += 1) {
      const { status, body } = await ada.get<unknown[]>('/posts?limit=100');
      expect(status).to.equal(200);
      expect(body).to.deep.equal(whole);
    }
    // Ten of six megabytes may stay for their minute.
    await until('the rest to be given up', () => open.filter(({ closed }) => closed()).length >= 30);
    clearInterval(watch);
    expect(mostHeld).to.be.within(1, 64 * MEBIBYTE);
    expect(mostMemory).to.be.below(600 * MEBIBYTE);
    for (const { tcp } of open) tcp.destroy();
    await until('nothing to be held', () => answers.count === 0 && answers.bytes === 0);
  });

  it('are given up with their connection when their time is over, also those behind others; streams are not', async () => {
    let given = 0;
    const answers = new PendingResponses({ onAbandoned: () => (given += 1), timeLimit: 5000 });
    const text = 'x'.repeat(8 * MEBIBYTE);
    const server = createServer((req, res: ServerResponse) => {
      answers.begin(res);
      if (req.url === '/events/stream') {
        res.setHeader('Content-Type', 'text/event-stream').flushHeaders();
        return;
      }
      res.end(text);
      answers.given(res, text.length, () => [req.url ?? '']);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    answers.start();
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const stream = ask(url, 'GET /events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n');
      const mute = ask(
        url,
        'GET /a HTTP/1.1\r\nhost: localhost\r\n\r\nGET /b HTTP/1.1\r\nhost: localhost\r\n\r\n',
      );
      open.push(stream, mute);
      await until('all to be asked', () => answers.count === 3);
      expect(answers.bytes).to.equal(16 * MEBIBYTE);
      expect((await (await fetch(url)).text()).length).to.equal(text.length);
      await until('it to be closed', mute.closed);
      await until('it to be forgotten', () => answers.count === 1 && answers.bytes === 0);
      expect(given).to.equal(1);
      expect(stream.closed()).to.be.false;
    } finally {
      answers.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('are given up of the address that holds most, and there of the user, when there is no maxBytes', () => {
    const answers = new PendingResponses({ onAbandoned: () => undefined, maxBytes: 10 * MEBIBYTE });
    const ended: string[] = [];
    const give = (address: string, user: string, bytes: number) => {
      const socket = {
        destroyed: false,
        destroy: () => ended.push(`${address} ${user}`),
        once: () => socket,
      };
      const res = { req: { socket }, once: () => res, writableLength: bytes } as unknown as ServerResponse;
      answers.begin(res);
      answers.given(res, bytes, () => [address, user]);
    };
    give('a', 'slow', 4 * MEBIBYTE);
    for (const user of ['1', '2', '3', '4', '5']) give('ring', user, MEBIBYTE);
    give('ring', '5', MEBIBYTE);
    expect(ended, 'there is maxBytes').to.deep.equal([]);
    give('b', 'newcomer', MEBIBYTE);
    expect(ended).to.deep.equal(['ring 5']);
  });

  it('count also where Socket.IO gives them, for the user of the session', async () => {
    const { pendingResponses: answers } = world.ctx;
    await until('all to have left', () => answers.count === 0);
    const script = 'GET /socket.io/socket.io.js.map HTTP/1.1\r\nhost: localhost\r\n\r\n';
    const mute = ask(world.url, script.repeat(200));
    open.push(mute);
    await until('an answer to wait', () => answers.bytes > 0 && answers.count === 1);
    mute.tcp.destroy();
    await until('it to be forgotten', () => answers.count === 0 && answers.bytes === 0);

    const path = '/socket.io/?EIO=4&transport=polling';
    const { sid } = JSON.parse((await ada.get<string>(path)).body.slice(1)) as { sid: string };
    const request = { url: `${path}&sid=${sid}`, headers: {}, socket: {} } as unknown as IncomingMessage;
    const { gateway } = world.server.service;
    expect(gateway.sendersOf(request)).to.deep.equal(['a127.0.0.1']);
    const join = `40${JSON.stringify({ token: ada.token, feed: 'off' })}`;
    await ada.request('POST', `${path}&sid=${sid}`, join, { 'content-type': 'text/plain' });
    await until('the user', () => gateway.sendersOf(request).includes(`u${ada.id}`));
    // Its greeting, and then nothing until the next ping.
    while (!(await ada.get<string>(`${path}&sid=${sid}`)).body.includes('"ready"'));
    const poll = ask(world.url, `GET ${path}&sid=${sid} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    open.push(poll);
    await until('the poll', () => answers.count === 1);
    poll.tcp.destroy();
    await until('its end', () => answers.count === 0);
  });

  it('are no more than a megabyte of events at a time, whose reader comes to the head all the same', async () => {
    for (const memory of ['the log', 'the node']) {
      let after = 0;
      let pages = 0;
      for (let head = 1; after < head; pages += 1) {
        const { status, body } = await ada.get<EventPage>(`/events?after=${after}&limit=500`);
        expect(status).to.equal(200);
        expect(JSON.stringify(body.events).length).to.be.within(60_000, 1.1 * MEBIBYTE);
        expect(body.events[0]?.seq).to.equal(after + 1);
        head = body.head;
        after = body.events.at(-1)?.seq ?? head;
      }
      expect(after, memory).to.equal(100);
      expect(pages, memory).to.be.within(6, 8);
      await until('the node to have all', () => world.ctx.feed.seq === after);
    }
  });
});
