import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Duplex, pipeline } from 'node:stream';
import { whenOver } from '../async/response-end.ts';

/** The number of a worker among the workers of this machine, and their private sockets. */
export interface WorkerSlot {
  /** 1, 2, 3 …; a worker that replaces a dead one takes its number. */
  number: number;
  /** A folder that only this service can read: each worker listens on a socket in it, for its siblings. */
  folder: string;
}

/**
 * The request headers that are not forwarded to the session's worker: hop-by-hop headers, which are about the
 * connection.
 */
const HANDED_ON =
  /^(host|origin|content-type|cookie|user-agent|x-request-id|accept(-.*)?|access-control-request-.*|x-forwarded-.*)$/;
/** Of the answer likewise all but this. */
const OF_THE_CONNECTION = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
/** What Engine.IO knows what to do with. */
const METHODS = ['GET', 'POST', 'OPTIONS'];
/** How long a client may take to read the last that its worker has said. Milliseconds. */
const LAST_WORDS = 1000;

const fromSiblings = new WeakSet<object>();

/** Whether a request was handed on by a sibling, over the private socket. */
export function isForwarded(req: IncomingMessage): boolean {
  return fromSiblings.has(req.socket);
}

/** A session id that says which worker holds the session, for `engine.generateId`. */
export function sessionId(slot: WorkerSlot): string {
  return `${slot.number}.${randomBytes(15).toString('base64url')}`;
}

/**
 * Sticky sessions. The workers share one port, and the operating system gives a new connection to any of them: right
 * for REST and for WebSocket, where a connection stays with its worker. A long-polling session is many requests, and
 * each must reach the worker that holds it. So a session's id begins with its worker's number, and a worker that gets a
 * request for another's session forwards it over a private socket. Everything else is served directly.
 *
 * @param inner the server that has the real listeners; it listens on the private socket
 * @param options of the other server; by its `IncomingMessage`, only WebSockets are upgrades
 * @param refused answers a request that may not come in, and says whether it has
 * @returns the server to listen on the shared port
 */
export async function stickyServer(
  inner: Server,
  slot: WorkerSlot,
  options: ServerOptions,
  refused: (req: IncomingMessage, res: ServerResponse | { socket: Duplex }) => boolean,
): Promise<Server> {
  const path = socketOf(slot, slot.number);
  await rm(path, { force: true }); // a predecessor may have left it
  inner.on('connection', (socket) => fromSiblings.add(socket));
  await new Promise<void>((resolve, reject) => {
    inner.once('error', reject);
    // Exclusive: by this process itself, not through the primary.
    inner.listen({ path, exclusive: true }, resolve);
  });
  const front = createServer(options);
  front.on('request', (req, res) => {
    const holder = holderOf(req, slot);
    // What is no request of a session is refused by Engine.IO, by ours as well as by the holder's.
    if (holder === undefined || !METHODS.includes(req.method ?? '')) {
      inner.emit('request', req, res);
      return;
    }
    res.on('error', () => undefined); // its end is told by `close`
    if (!refused(req, res)) forwardRequest(req, res, socketOf(slot, holder));
  });
  front.on('upgrade', (req, socket, head) => {
    const holder = holderOf(req, slot);
    const refuse = () => inner.emit('upgrade', req, socket, head);
    if (holder === undefined || req.method !== 'GET') refuse();
    else if (!refused(req, { socket })) forwardUpgrade(req, socket, head, socketOf(slot, holder), refuse);
  });
  return front;
}

function socketOf(slot: WorkerSlot, number: number): string {
  return join(slot.folder, `${number}.sock`);
}

/** Which other worker holds the session that a request belongs to; undefined if it belongs to none, or to one of ours. */
function holderOf(req: IncomingMessage, slot: WorkerSlot): number | undefined {
  const digits = /^\/socket\.io\/.*[?&]sid=(\d{1,4})\./.exec(req.url ?? '')?.[1];
  const number = digits === undefined ? slot.number : Number(digits);
  return number === slot.number ? undefined : number;
}

/** The headers that go along, and these. */
function headersFor(req: IncomingMessage, more: IncomingHttpHeaders): IncomingHttpHeaders {
  const along = Object.entries(req.headers).filter(([name]) => HANDED_ON.test(name));
  return { ...Object.fromEntries(along), ...more };
}

/**
 * Each request has a private connection to itself. On one that is shared, whatever the two ends understood differently,
 * such as where a body ends, would become the next user's request.
 */
function forwardRequest(req: IncomingMessage, res: ServerResponse, socketPath: string): void {
  const { method, url: path } = req;
  const fail = () => {
    if (res.headersSent) {
      res.destroy();
      return;
    }
    // The worker is gone, and the session with it: Engine.IO's own answer, after which a client starts a new one.
    res.writeHead(400, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ code: 1, message: 'Session ID unknown' }));
  };
  const length = req.headers['content-length'];
  const hasBody = method === 'POST';
  try {
    const headers = headersFor(req, {
      ...(hasBody && length !== undefined ? { 'content-length': length } : {}),
      // It is ours to close. The worker would do so with its answer, and we still have to write that the body has ended.
      connection: 'keep-alive',
    });
    const onward = request({ socketPath, method, path, headers, agent: false }, (answer) => {
      const back = Object.entries(answer.headers).filter(([name]) => !OF_THE_CONNECTION.includes(name));
      res.writeHead(answer.statusCode ?? 502, Object.fromEntries(back));
      pipeline(answer, res, () => undefined);
    });
    onward.on('error', fail);
    whenOver(res, () => onward.destroy());
    if (hasBody) req.pipe(onward);
    else {
      onward.end();
      req.resume();
    }
  } catch {
    // It contains something that Node can read but not write.
    fail();
  }
}

/** @param refuse answers it here instead, where no such session is known */
function forwardUpgrade(
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  socketPath: string,
  refuse: () => void,
): void {
  const { headers } = req;
  const handshake = Object.entries(headers).filter(([name]) => name.startsWith('sec-websocket-'));
  // Written again from what we parsed, so that the worker sees an upgrade as we did; otherwise it would parse the rest
  // as requests.
  const lines = Object.entries(
    headersFor(req, { ...Object.fromEntries(handshake), connection: 'Upgrade', upgrade: 'websocket' }),
  ).map(([name, value]) => `${name}: ${String(value)}`);
  const onward = connect(socketPath);
  const end = () => {
    onward.destroy();
    socket.destroy();
  };
  const lost = () => {
    socket.off('error', end).off('close', end);
    refuse();
  };
  socket.on('error', end).on('close', end);
  onward.once('error', lost);
  onward.once('connect', () => {
    onward.off('error', lost).on('error', end);
    onward.on('close', () => setTimeout(end, LAST_WORDS).unref());
    // As they came: Node reads headers and addresses byte by byte.
    onward.write(`GET ${req.url ?? '/'} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    onward.write(head);
    socket.pipe(onward).pipe(socket);
  });
}
