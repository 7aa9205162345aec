import { expect } from 'chai';
import { setTimeout as pause } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { io } from 'socket.io-client';
import type { Ready } from '../server/contract.ts';
import { EventStream } from './support/event-stream.ts';
import { recipes, type RunningProxy, startProxy } from './support/proxies.ts';
import { firstFault, type Heard, readyOf, record } from './support/sockets.ts';
import { startTwoNodes, type TwoNodes } from './support/two-nodes.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { Api, signUp, type TestSocket, type TestUser } from './support/world.ts';

/** The longest that a long-poll may wait: longer than a proxy's timeLimit must be. Seconds. */
const LONGEST_WAIT = 30;

/** Sooner than a node writes to a connection again on which nothing has happened. Milliseconds. */
const BEFORE_A_PING = 8000;

/** What a proxy waits for that collects what it sends, and more. Milliseconds. */
const HELD = 100;

/** What one client heard through one proxy, however it listens. */
interface Listener {
  how: 'websocket' | 'polling' | 'stream';
  seqs: number[];
  reconnects: number;
  end(): void;
}

describe('the proxies in deploy/', () => {
  let nodes: TwoNodes;
  let ada: TestUser;
  const proxies: RunningProxy[] = [];
  const sockets: TestSocket[] = [];
  const streams: EventStream[] = [];
  /** Those that come back by themselves, by proxy. */
  const listeners = new Map<string, Listener[]>();
  const everybody = () => [...listeners.values()].flat();
  /** What was opened before the quiet half minute, by proxy. */
  const quiet = new Map<string, { socket: TestSocket; stream: EventStream; polled: Promise<Polled> }>();

  interface Polled {
    status: number;
    /** By the clock, and without what this process and the nodes were kept from running. */
    seconds: { passed: number; ran: number };
    events: unknown[];
  }

  before(async function () {
    this.timeout(240_000);
    nodes = await startTwoNodes({ env: { TRUST_PROXY: '1', LOG_LEVEL: 'debug' } });
    const ports = [nodes.first, nodes.second].map(({ url }) => Number(new URL(url).port));
    await Promise.all(
      recipes.map(async (recipe) => proxies.push(await startProxy(recipe, [ports[0] ?? 0, ports[1] ?? 0]))),
    );
    ada = await signUp(nodes.first.url, 'ada');
    for (const proxy of proxies) {
      const socket = listen(proxy, ['websocket'], { address: '127.0.0.20' });
      await readyOf(socket);
      const stream = await EventStream.open(new Api(proxy.url, ada.token));
      streams.push(stream);
      quiet.set(proxy.name, { socket, stream, polled: longPoll(proxy) });
    }
    for (const { polled } of quiet.values()) await polled;
  });

  after(async () => {
    for (const listener of everybody()) listener.end();
    for (const socket of sockets) socket.disconnect();
    for (const stream of streams) stream.close();
    for (const proxy of proxies) await proxy.stop();
    await nodes.stop();
  });

  for (const { name } of recipes) {
    describe(name, () => {
      let proxy: RunningProxy;
      before(() => {
        proxy = proxies.find((one) => one.name === name)!;
      });

      it('lets a long-poll wait for half a minute, and a silent socket and stream stand meanwhile', async () => {
        const { socket, stream, polled } = quiet.get(name)!;
        const { status, seconds, events } = await polled;
        expect({ status, events }).to.deep.equal({ status: 200, events: [] });
        expect(seconds.passed).to.be.at.least(LONGEST_WAIT - 1);
        expect(seconds.ran).to.be.at.most(LONGEST_WAIT + 5);
        const heard = record(socket);
        const id = await publish(proxy, 'after the silence');
        await until('the socket to hear it', () => heard.some(({ post }) => post.id === id));
        let told = '';
        while (!told.includes(`"id":${id},`)) told = (await stream.take(1))[0]?.data ?? '';
        expect(socket.connected).to.be.true;
      });

      it('hands an event to WebSockets, polling clients without cookies and streams as it comes', async () => {
        const listeners = [
          listen(proxy, ['websocket'], { address: '127.0.0.31' }),
          ...[2, 3, 4, 5, 6, 7, 8, 9].map((n) => listen(proxy, ['polling'], { address: `127.0.0.${n}` })),
          listen(proxy, ['polling', 'websocket'], { address: '127.0.0.10' }),
          listen(proxy, ['polling', 'websocket'], { address: '127.0.0.11' }),
        ];
        await Promise.all(listeners.map(readyOf));
        const heard = listeners.map(record);
        const stream = await EventStream.open(new Api(proxy.url, ada.token), `?after=${await head()}`);
        streams.push(stream);
        await until('those that may to upgrade', () =>
          listeners.slice(-2).every((socket) => socket.io.engine.transport.name === 'websocket'),
        );
        for (const title of ['one', 'two', 'three']) {
          const id = await publish(proxy, title);
          // A proxy that collects what it passes on would hold it back until the next one.
          const [event] = await stream.take(1);
          expect(JSON.parse(event?.data ?? '')).to.deep.include({ id });
          await until(
            'everybody to hear it',
            () => heard.every((events) => events.at(-1)?.post.id === id),
            BEFORE_A_PING,
          );
        }
        for (const events of heard)
          expect(firstFault(seqsOf(events), (events[0]?.seq ?? 1) - 1)).to.be.undefined;
        for (const socket of listeners) socket.disconnect();
      });

      it('holds no event of a stream back for a moment', async () => {
        const apis = [nodes.first.url, proxy.url].map((url) => new Api(url, ada.token));
        const both = await Promise.all(apis.map((api) => EventStream.open(api)));
        streams.push(...both);
        let least = Infinity;
        // A busy machine is late now and then, one that holds events back is always.
        for (let tries = 0; tries < 20 && least >= HELD; tries += 1) {
          await publish(proxy, `number ${tries}`);
          const came = await Promise.all(both.map((stream) => stream.take(1).then(() => performance.now())));
          least = Math.min(least, (came[1] ?? Infinity) - (came[0] ?? 0));
        }
        expect(least).to.be.below(HELD);
      });

      it('tells the node who asks, and what it is called', async () => {
        const path = `/posts/${900_000 + Math.floor(Math.random() * 99_999)}`;
        const status = await get(proxy, path, '127.0.0.77', { 'x-forwarded-for': '198.51.100.7' });
        expect(status).to.equal(404);
        const lines = () => `${nodes.first.output}${nodes.second.output}`.split('\n');
        await until('the request to be logged', () => lines().some((line) => line.includes(`"${path}"`)));
        const line = lines().find((one) => one.includes(`"${path}"`)) ?? '';
        expect(JSON.parse(line)).to.deep.include({ address: '127.0.0.77' });

        // A browser's origin is compared with the name that it asked for: it must come through as it was.
        const browser = listen(proxy, ['websocket'], { origin: proxy.url });
        await readyOf(browser);
        const foreign = listen(proxy, ['websocket'], { origin: 'http://foreign.example' });
        await new Promise((resolve) => foreign.once('connect_error', resolve));
        for (const socket of [browser, foreign]) socket.disconnect();
      });

      it('keeps the numbers of the service to itself', async () => {
        for (const path of ['/metrics', '/METRICS', '/metrics/', '/metrics?a=1'])
          expect(await get(proxy, path, '127.0.0.1'), path).to.be.oneOf([403, 404]);
        expect(await get(proxy, '/healthz', '127.0.0.1')).to.equal(200);
      });
    });
  }

  describe('when a node is killed', () => {
    it('they lose no event and fail no read', async () => {
      const readers: { name: string; failed: string[]; reads: number }[] = [];
      const start = await head();
      for (const proxy of proxies) {
        listeners.set(proxy.name, [
          ...[1, 2].map((n) => resuming(proxy, ['websocket'], `127.0.0.${50 + n}`, start)),
          ...[3, 4, 5, 6].map((n) => resuming(proxy, ['polling'], `127.0.0.${50 + n}`, start)),
          resumingStream(proxy, start),
        ]);
      }
      await publish(proxies[0]!, 'before the kill');
      await until('everybody to listen', () => everybody().every(({ seqs }) => seqs.length > 0));

      let over = false;
      let wasKilled: () => void = () => undefined;
      const killed = new Promise<void>((resolve) => (wasKilled = resolve));
      const reading = proxies.map(async (proxy) => {
        const reader = { name: proxy.name, failed: [] as string[], reads: 0 };
        readers.push(reader);
        while (!over) {
          const status = await get(proxy, '/posts?limit=1', '127.0.0.1').catch((error: unknown) =>
            String(error),
          );
          reader.reads += 1;
          if (status === 200) continue;
          reader.failed.push(String(status));
          // A process that is killed closes its connections one by one: while it does, it may get another.
          await killed;
          await pause(100);
        }
      });
      await until('everybody to read', () => readers.every(({ reads }) => reads > 5));
      await nodes.first.kill();
      wasKilled();
      for (let n = 0; n < 10; n += 1)
        for (const proxy of proxies) await publish(proxy, `after the kill ${n}`, { retry: true });
      const last = await head();
      await until('everybody to have heard all', () => everybody().every(({ seqs }) => seqs.at(-1) === last));
      over = true;
      await Promise.all(reading);

      for (const [name, those] of listeners)
        for (const { how, seqs } of those) expect(firstFault(seqs, start), `${name} ${how}`).to.be.undefined;
      for (const { name, failed } of readers) {
        // One read at a time is in progress, so at most one was on the node that died.
        const { repeatsReads } = recipes.find((recipe) => recipe.name === name)!;
        expect(failed.length, `${name}: ${failed.join()}`).to.be.at.most(repeatsReads ? 0 : 1);
      }
    });
  });

  async function head(): Promise<number> {
    const { headers } = await new Api(nodes.second.url, ada.token).get('/posts?limit=1');
    return Number(headers.get('x-feed-seq'));
  }

  /** Writes a post through a proxy, with its key again while the outcome is not known. @returns its id */
  async function publish(proxy: RunningProxy, title: string, { retry = false } = {}): Promise<number> {
    const key = randomUUID();
    for (let attempt = 0; ; attempt += 1) {
      const answer = await new Api(proxy.url, ada.token)
        .post<{ id: number }>('/posts', { title, content: title }, { 'idempotency-key': key })
        .catch((error: unknown) => ({ status: String(error), body: { id: 0 } }));
      if (answer.status === 201) return answer.body.id;
      if (!retry || attempt > 50) throw new Error(`${proxy.name}: ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function longPoll(proxy: RunningProxy): Promise<Polled> {
    const watch = new Stopwatch([nodes.first.pid, nodes.second.pid]);
    const response = await fetch(`${proxy.url}/events?after=${await head()}&wait=${LONGEST_WAIT}`, {
      headers: { authorization: `Bearer ${ada.token}` },
    });
    const { events } = (await response.json()) as { events: unknown[] };
    const seconds = { passed: watch.passed / 1000, ran: watch.ran / 1000 };
    return { status: response.status, seconds, events };
  }

  /** A stock client, which keeps no cookies. */
  function listen(
    proxy: RunningProxy,
    transports: ('websocket' | 'polling')[],
    { address, origin, auth }: { address?: string; origin?: string; auth?: () => object } = {},
  ): TestSocket {
    const socket: TestSocket = io(proxy.url, {
      auth: (give) => give({ token: ada.token, ...auth?.() }),
      transports,
      forceNew: true,
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
      // Its option `localAddress` is not for long-polling.
      ...(address === undefined ? {} : { agent: new Agent({ localAddress: address }) as unknown as string }),
      ...(origin === undefined ? {} : { extraHeaders: { origin } }),
    });
    sockets.push(socket);
    return socket;
  }

  /** A stock client that comes back with its position. */
  function resuming(
    proxy: RunningProxy,
    transports: ('websocket' | 'polling')[],
    address: string,
    start: number,
  ): Listener {
    let at = { after: start, epoch: undefined as string | undefined };
    const listener: Listener = {
      how: transports[0] ?? 'polling',
      seqs: [],
      reconnects: -1,
      end: () => socket.disconnect(),
    };
    const socket = listen(proxy, transports, {
      address,
      auth: () => (at.epoch === undefined ? { after: start } : at),
    });
    socket.on('ready', ({ epoch }: Ready) => {
      at = { ...at, epoch };
      listener.reconnects += 1;
    });
    for (const name of ['post:created', 'post:updated', 'post:deleted'] as const)
      socket.on(name, (_: unknown, { seq }: { seq: number }) => {
        at = { ...at, after: seq };
        listener.seqs.push(seq);
      });
    return listener;
  }

  /** A reader of the stream that comes back with the last id. */
  function resumingStream(proxy: RunningProxy, start: number): Listener {
    let over = false;
    let stream: EventStream | undefined;
    const listener: Listener = {
      how: 'stream',
      seqs: [],
      reconnects: -1,
      end: () => {
        over = true;
        stream?.close();
      },
    };
    void (async () => {
      let last: string | undefined;
      while (!over) {
        try {
          stream = await EventStream.open(
            new Api(proxy.url, ada.token),
            last === undefined ? `?after=${start}` : '',
            last === undefined ? {} : { 'last-event-id': last },
          );
          listener.reconnects += 1;
          for (;;) {
            const [event] = await Promise.race([stream.take(1), stream.ended().then(() => [])]);
            if (!event) break;
            last = event.id;
            listener.seqs.push(Number(event.id.split(':')[1]));
          }
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    })();
    return listener;
  }

  function get(
    proxy: RunningProxy,
    path: string,
    from: string,
    headers: Record<string, string> = {},
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const req = request(
        proxy.url + path,
        {
          localAddress: from,
          agent: false,
          timeout: 15_000,
          headers: { authorization: `Bearer ${ada.token}`, ...headers },
        },
        (res) => {
          res.resume();
          res.once('error', reject);
          res.once('end', () => resolve(res.statusCode ?? 0));
        },
      );
      req.once('timeout', () => req.destroy(new Error('no answer in time')));
      req.once('error', reject);
      req.end();
    });
  }
});

function seqsOf(events: Heard[]): number[] {
  return events.map(({ seq }) => seq);
}
