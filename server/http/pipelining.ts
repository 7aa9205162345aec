import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { whenOver } from '../async/response-end.ts';
import { UpgradableRequest } from './upgrades.ts';

type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Requests that wait on one connection, with what one costs beside its text. Beyond it no more is read of them. Bytes. */
const MOST = 256 * 1024;
const RECORD = 1024;

/** How often connections of a closed port are looked at. Milliseconds. */
const IDLE_INTERVAL = 20;

/** What waits on each connection. Bytes. */
const waiting = new WeakMap<Socket, number>();
/** The requests of each connection that have not been answered whole. */
const unanswered = new WeakMap<Duplex, Set<ServerResponse>>();

/**
 * Serves the requests of a connection one after the other. A client may send several without waiting for the answers
 * (pipelining, RFC 9112, 9.3.2); Node hands over all of them at once and sends the answers in the order of the
 * requests. A response that is ready before its turn waits for those before it: behind a stream for hours, in which its
 * session may end, or its own time limit would close the connection, and the stream with it. So a request is handled
 * when the responses before it have been sent, and not at all if the connection ends before. An upgrade cannot wait:
 * behind unanswered requests it ends the connection, or the answers to these would be written into a WebSocket.
 *
 * Call it when the server has all its listeners.
 * @returns closes the port, and every connection as soon as nothing is asked or answered on it; resolves when all have
 *   ended
 */
export function serveInTurn(server: Server): () => Promise<void> {
  const responses = new Set<ServerResponse>();
  const listeners = server.listeners('request') as RequestListener[];
  const serve: RequestListener = (req, res) => {
    for (const listener of listeners) listener.call(server, req, res);
  };
  server.removeAllListeners('request');
  server.on('request', (req, res) => {
    // Node drops what it has read behind it: the answers to come would be taken for those to the requests that are lost.
    if (req instanceof UpgradableRequest && req.asksForUpgrade) res.setHeader('Connection', 'close');
    const answers = unanswered.get(req.socket) ?? new Set();
    unanswered.set(req.socket, answers.add(res));
    responses.add(res);
    whenOver(res, () => {
      answers.delete(res);
      responses.delete(res);
    });
    // A response has its connection from its turn on.
    if (res.socket !== null || !mayWait(req)) {
      serve(req, res);
      return;
    }
    const { socket } = req;
    const weight = weightOf(req);
    const all = (waiting.get(socket) ?? 0) + weight;
    waiting.set(socket, all);
    if (all > MOST) process.nextTick(brake, socket);
    res.once('socket', () => {
      const left = (waiting.get(socket) ?? weight) - weight;
      waiting.set(socket, left);
      if (socket.destroyed) return;
      if (left <= MOST) socket.resume();
      serve(req, res);
    });
  });

  const upgradeListeners = server.listeners('upgrade') as UpgradeListener[];
  server.removeAllListeners('upgrade');
  server.on('upgrade', (req, socket, head) => {
    if (isAnswering(socket)) socket.destroy();
    else for (const listener of upgradeListeners) listener.call(server, req, socket, head);
  });
  return () => closePort(server, responses);
}

/**
 * To Node a connection is idle as soon as its answer has been given, though a client that reads slowly is still taking
 * it: its own `close` would cut that off. So the port is closed alone, and idle connections end when no answer is on
 * its way.
 * @param responses that have not been sent whole
 */
async function closePort(server: Server, responses: ReadonlySet<ServerResponse>): Promise<void> {
  const endIdle = () => {
    if (![...responses].some(({ writableEnded }) => writableEnded)) server.closeIdleConnections();
  };
  endIdle();
  const ending = setInterval(endIdle, IDLE_INTERVAL).unref();
  await new Promise<void>((resolve) => TcpServer.prototype.close.call(server, () => resolve()));
  clearInterval(ending);
}

/** Whether there are requests on a connection that have not been answered whole; of a server that serves in turn. */
function isAnswering(connection: Duplex): boolean {
  return (unanswered.get(connection)?.size ?? 0) > 0;
}

/** Whether a response on a connection has been started; for a server with `serveInTurn`. */
export function hasBegunToAnswer(connection: Duplex): boolean {
  return [...(unanswered.get(connection) ?? [])].some(({ headersSent }) => headersSent);
}

/** Reads no more for now. Node reads on when it has read a request whole, so not before it has. */
function brake(socket: Socket): void {
  if ((waiting.get(socket) ?? 0) > MOST) socket.pause();
}

/**
 * A POST of Socket.IO may not: the request in front of it can be the one that is to answer it. Nor may a body that Node does not keep
 * until somebody reads it: its request would be taken for one that does not arrive.
 */
function mayWait({ method, url = '', headers, readableHighWaterMark }: IncomingMessage): boolean {
  if (method === 'POST' && url.startsWith('/socket.io/')) return false;
  return headers['transfer-encoding'] === undefined && lengthOf(headers) < readableHighWaterMark;
}

function weightOf({ url = '', headers, rawHeaders }: IncomingMessage): number {
  return rawHeaders.reduce((sum, text) => sum + text.length, RECORD + url.length + lengthOf(headers));
}

function lengthOf(headers: IncomingMessage['headers']): number {
  return Number(headers['content-length'] ?? 0);
}
