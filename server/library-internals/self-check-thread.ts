import { Duplex } from 'node:stream';
import { createServer, request, type Server as HttpServer } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import type { Server, Socket } from 'socket.io';
import { withTimeout } from '../async/timeout.ts';
import { type EngineConnection, engineConnection, type EngineSocket } from './engine-connection.ts';
import { FastPaths } from './fast-paths.ts';
import { cutOff, sendNoOptions, setAddress, toldProcessId } from './postgres.ts';
import type { Checked, SelfCheckData, Verdict } from './self-check.ts';
import { slim } from './slimming.ts';
import { textFrame } from './text-frame.ts';

/** How long one step may take. Milliseconds. */
const STEP = 8000;
/** Between two pings of a server: to see some, and to see none during what is written. Milliseconds. */
const SHORT = 30;
const LONG = 60_000;
/** Written to a client that does not read: more than the kernel takes. Bytes. */
const FLOOD = 64 * 1024 * 1024;
const CHUNK = 256 * 1024;
/** What has to wait on our side of that. Bytes. */
const WAITING = 1024 * 1024;

/** A server as the gateway sets it up, on a port of its own. */
interface Rig {
  io: Server;
  http: HttpServer;
  port: number;
  connect(): Promise<Peer>;
  /** What is known of the connection of a socket since it opened. */
  connectionOf(socket: Socket): EngineConnection;
}

/** Both ends of a connection. */
interface Peer {
  socket: Socket;
  conn: EngineSocket;
  connection: EngineConnection;
  client: Client;
}

const { names, preload } = workerData as SelfCheckData;
if (preload !== undefined) await import(preload);
// After what a test has changed of them.
const { default: pg } = await import('pg');
const { WebSocket } = await import('ws');
const { Server: SocketServer } = await import('socket.io');
const { socketServerOptions } = await import('./socket-server.ts');

const fastPaths = new FastPaths({
  wanted: names.filter((name) => name !== 'pg'),
  onFailed: (_name, error) => {
    throw error;
  },
});

/** A client that reads the frames of Engine.IO and answers its pings. */
class Client {
  readonly webSocket: InstanceType<typeof WebSocket>;
  readonly frames: string[] = [];
  pings = 0;
  closeCode: number | undefined;

  constructor(url: string) {
    this.webSocket = new WebSocket(url);
    this.webSocket.on('message', (data: Buffer) => {
      const text = data.toString();
      if (text === '2') {
        this.pings += 1;
        this.webSocket.send('3');
      } else this.frames.push(text);
    });
    this.webSocket.on('close', (code) => (this.closeCode = code));
    this.webSocket.on('error', () => undefined); // a close follows
  }

  send(text: string): void {
    this.webSocket.send(text);
  }

  has(text: string): boolean {
    return this.frames.includes(text);
  }
}

async function startRig(pingInterval: number): Promise<Rig> {
  const http = createServer();
  const io = new SocketServer(http, {
    ...socketServerOptions,
    pingInterval,
    pingTimeout: STEP,
  });
  const connections = new Map<object, EngineConnection>();
  io.engine.on('connection', (conn: EngineSocket) => {
    connections.set(conn, engineConnection(conn, fastPaths));
    conn.on('close', () => connections.delete(conn));
  });
  const sockets: Socket[] = [];
  io.on('connection', (socket) => {
    socket.on('echo', (...args: unknown[]) => (args.at(-1) as (text: string) => void)('heard'));
    sockets.push(socket);
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(0, '127.0.0.1', resolve);
  });
  const { port } = http.address() as { port: number };
  const connectionOf = (socket: Socket) => {
    const connection = connections.get(socket.conn);
    if (!connection) throw new Error('Engine.IO did not tell of a connection');
    return connection;
  };
  return {
    io,
    http,
    port,
    connectionOf,
    connect: async () => {
      const client = new Client(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
      await until('a connection', () => client.frames.some((frame) => frame.startsWith('0')));
      client.send('40');
      await until('a socket', () => client.frames.some((frame) => frame.startsWith('40')));
      const socket = sockets.at(-1);
      if (!socket) throw new Error('Socket.IO did not tell of a socket');
      return { socket, conn: socket.conn, connection: connectionOf(socket), client };
    },
  };
}

const checks: Record<Checked, () => Promise<void>> = {
  pg: checkDriver,
  'direct-writes': async () => checkDirectWrites(await startRig(LONG)),
  'slim-connections': async () => checkSlimming(await startRig(SHORT)),
};

/** A server of PostgreSQL, as far as its greeting. */
class Wire extends Duplex {
  address: string | undefined;
  written = '';

  connect(port: number, host: string): void {
    this.address = `${host}:${port}`;
    setImmediate(() => this.emit('connect'));
  }

  setNoDelay(): this {
    return this;
  }

  override _read(): void {
    // What it says is pushed.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written += chunk.toString('latin1');
    done();
  }

  /** AuthenticationOk, BackendKeyData, ReadyForQuery. */
  greet(processId: number): void {
    const key = Buffer.from('K____pid_key_', 'latin1');
    key.writeInt32BE(12, 1);
    key.writeInt32BE(processId, 5);
    this.push(Buffer.concat([Buffer.from('R\0\0\0\x08\0\0\0\0'), key, Buffer.from('Z\0\0\0\x05I')]));
  }
}

async function checkDriver(): Promise<void> {
  const wire = new Wire();
  const client = new pg.Client({
    host: 'first.invalid',
    port: 1,
    user: 'user',
    database: 'database',
    options: '-c first=1',
    stream: () => wire,
  });
  client.on('error', () => undefined); // what was asked fails as well
  setAddress(client, { host: 'second.invalid', port: 2 });
  sendNoOptions(client);
  const connected = client.connect();
  expect('it connects to the address that was set', wire.address === 'second.invalid:2');
  await until('a startup packet', () => wire.written.includes('database'));
  expect('no options are sent', !wire.written.includes('first=1'));
  wire.greet(4711);
  await within('a connection', connected);
  expect('the number of the process is told', toldProcessId(client) === 4711);
  const failed = client.query('select 1').then(
    () => undefined,
    (error: unknown) => error,
  );
  const reason = new Error('cut off');
  cutOff(client, reason);
  expect('a query fails with the reason of the cut', (await within('a failure', failed)) === reason);
}

async function checkDirectWrites(rig: Rig): Promise<void> {
  const { client, conn, connection } = await rig.connect();
  await until('nothing to wait', () => connection.pending === 0);
  const sent: string[] = [];
  const direct = (text: string) => {
    sent.push(`4${text}`);
    return connection.writeFrames(textFrame(`4${text}`));
  };
  const queued = (text: string) => {
    sent.push(`4${text}`);
    connection.send(text);
  };
  client.frames.length = 0;
  for (const length of [1, 200, 70_000]) expect('a frame is written', direct(`2["${'x'.repeat(length)}"]`));
  await until('three frames', () => client.frames.length === sent.length);

  client.webSocket.pause();
  const chunk = `2["${'y'.repeat(CHUNK)}"]`;
  for (let written = 0; connection.pending < WAITING && written < FLOOD; written += CHUNK) {
    expect('a frame is written behind others', direct(chunk));
    await turn();
  }
  expect('what waits is counted', connection.pending >= WAITING && connection.pending < FLOOD);
  // Engine.IO hands the first on to the transport; the second waits in its queue until that is written.
  queued('2["first"]');
  expect('a frame is written behind a packet', direct('2["between"]'));
  const before = connection.pending;
  queued('2["second"]');
  expect('a packet in the queue is counted', connection.pending === before + '2["second"]'.length);
  expect('no frame passes a packet in the queue', !connection.writeFrames(textFrame('42["passes"]')));
  expect('the queue is taken back', connection.discardEvents() && connection.pending === before);
  sent.pop();
  client.webSocket.resume();
  await until('all that was written', () => client.frames.length >= sent.length);
  queued('2["last"]');
  await until('the last', () => client.frames.length >= sent.length);
  expect(
    'the order is kept',
    sent.every((text, at) => client.frames[at] === text) && !client.has('42["second"]'),
  );

  let closed = false;
  conn.on('close', () => (closed = true));
  client.webSocket.pause();
  direct(chunk);
  connection.cutOff();
  client.webSocket.resume();
  await until('the end of a connection that was cut off', () => closed && client.closeCode !== undefined);
}

async function checkSlimming(rig: Rig): Promise<void> {
  const peers = [await rig.connect(), await rig.connect(), await rig.connect(), await rig.connect()] as const;
  const [first, second, third, fourth] = peers;
  for (const { socket } of peers) slim(socket, fastPaths);
  for (const { conn } of peers) expect('the request is released', !conn.request);
  const upgraded = await upgradedPeer(rig);
  for (const peer of [...peers, upgraded]) await checkAlive(peer);

  // Who answers a question of the server is the one that was asked.
  const answers = [first, second].map(({ socket }) => socket.emitWithAck('question') as Promise<unknown>);
  const questions = await Promise.all(
    [first, second].map(async ({ client }) => {
      const question = () => client.frames.find((frame) => frame.endsWith('["question"]'));
      await until('a question', () => question() !== undefined);
      return /^42(\d+)/.exec(question() ?? '')?.[1] ?? '';
    }),
  );
  first.client.send(`43${questions[1] ?? ''}["of another"]`);
  second.client.send(`43${questions[0] ?? ''}["of another"]`);
  for (const [at, { client }] of [first, second].entries()) client.send(`43${questions[at] ?? ''}["${at}"]`);
  expect('an answer is that of whom was asked', (await Promise.all(answers)).join() === '0,1');

  const left = () => rig.io.of('/').sockets.size;
  first.client.webSocket.close();
  await until('a client that left to be forgotten', () => left() === 4);
  second.client.webSocket.terminate();
  await until('a client that was lost to be forgotten', () => left() === 3);
  third.client.send('4nonsense');
  await until(
    'a client that sent nonsense to be closed',
    () => third.client.closeCode !== undefined && left() === 2,
  );
  fourth.socket.disconnect(true);
  await until('a client that was told to leave', () => fourth.client.closeCode !== undefined && left() === 1);
  upgraded.client.webSocket.terminate();
  await until('the last client to be forgotten', () => left() === 0);
  await until('the last connection to be forgotten', () => rig.io.engine.clientsCount === 0);
}

/** It answers, is pinged and is asked again after its answer. */
async function checkAlive({ client, conn }: Peer): Promise<void> {
  const { pings } = client;
  client.send('427["echo"]');
  await until('an answer', () => client.has('437["heard"]'));
  await until('two pings', () => client.pings >= pings + 2);
  expect('the connection stands', conn.readyState === 'open');
}

/** A connection that began with polling and was slimmed before and after its upgrade. */
async function upgradedPeer(rig: Rig): Promise<Peer> {
  const path = '/socket.io/?EIO=4&transport=polling';
  const { sid } = JSON.parse((await ask(rig, 'GET', path)).slice(1)) as { sid: string };
  const before = new Set(rig.io.of('/').sockets.keys());
  await ask(rig, 'POST', `${path}&sid=${sid}`, '40');
  const sockets = () => [...rig.io.of('/').sockets.values()];
  await until('a socket over polling', () => sockets().some(({ id }) => !before.has(id)));
  const socket = sockets().find(({ id }) => !before.has(id));
  if (!socket) throw new Error('no socket over polling');
  slim(socket, fastPaths);
  await ask(rig, 'GET', `${path}&sid=${sid}`);
  const conn: EngineSocket = socket.conn;
  const upgrade = new Promise((resolve) => socket.conn.once('upgrade', resolve));
  const client = new Client(`ws://127.0.0.1:${rig.port}/socket.io/?EIO=4&transport=websocket&sid=${sid}`);
  await until('a WebSocket', () => client.webSocket.readyState === WebSocket.OPEN);
  client.send('2probe');
  await until('the answer to a probe', () => client.has('3probe'));
  client.send('5');
  // A ping may have come over polling, where nobody has answered it.
  client.send('3');
  await within('an upgrade', upgrade);
  slim(socket, fastPaths);
  return { socket, conn, connection: rig.connectionOf(socket), client };
}

function ask(rig: Rig, method: string, path: string, body?: string): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    const req = request({ port: rig.port, host: '127.0.0.1', method, path, agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      res.on('end', () => resolve(text)).on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
  });
  return within('an answer over polling', answer);
}

function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + STEP;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function within<T>(what: string, work: Promise<T>): Promise<T> {
  return withTimeout(STEP, work, () => new Error(`did not come: ${what}`));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

for (const name of names) {
  let fault: string | undefined;
  try {
    await checks[name]();
  } catch (error) {
    fault = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  parentPort?.postMessage({ name, fault } satisfies Verdict);
}
