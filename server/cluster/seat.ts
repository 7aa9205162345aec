import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';

/** A worker's place among its siblings. */
export interface Seat {
  /** 1, 2, 3 …; a worker that replaces a dead one takes its number. */
  number: number;
  /** A folder that only this service can read: each worker listens on a socket in it, for its siblings. */
  folder: string;
}

/** A session id that says which worker holds the session, for `engine.generateId`. */
export function sessionId(seat: Seat): string {
  return `${seat.number}.${randomBytes(15).toString('base64url')}`;
}

/**
 * The workers share one port, and the operating system's next connection goes to any of them: right for REST and for
 * WebSocket, where a connection stays where it is. A long-polling session is many requests, and each must reach the
 * worker that holds it. So a session's id begins with its worker's number, and a worker that is asked for another's
 * session hands the request on to it, over a private socket. Everything else takes no detour.
 *
 * @param inner the server that has the real listeners; it listens on the private socket
 * @returns the server to listen on the shared port
 */
export async function frontOf(inner: Server, seat: Seat, options: object): Promise<Server> {
  const path = socketOf(seat, seat.number);
  await rm(path, { force: true }); // a predecessor may have left it
  await new Promise<void>((resolve, reject) => {
    inner.once('error', reject);
    // Exclusive: by this process itself, not through the primary.
    inner.listen({ path, exclusive: true }, resolve);
  });
  const front = createServer(options);
  front.on('request', (req, res) => {
    const holder = holderOf(req);
    if (holder === undefined || holder === seat.number) inner.emit('request', req, res);
    else handRequestOn(req, res, socketOf(seat, holder));
  });
  front.on('upgrade', (req, socket, head) => {
    const holder = holderOf(req);
    if (holder === undefined || holder === seat.number) inner.emit('upgrade', req, socket, head);
    else handUpgradeOn(req, socket, head, socketOf(seat, holder));
  });
  return front;
}

function socketOf(seat: Seat, number: number): string {
  return join(seat.folder, `${number}.sock`);
}

/** Which worker holds the session that a request belongs to; undefined if it belongs to none. */
function holderOf(req: IncomingMessage): number | undefined {
  const number = /^\/socket\.io\/.*[?&]sid=(\d{1,4})\./.exec(req.url ?? '')?.[1];
  return number === undefined ? undefined : Number(number);
}

function handRequestOn(req: IncomingMessage, res: ServerResponse, socketPath: string): void {
  const { method, url: path, headers } = req;
  const onward = request({ socketPath, method, path, headers }, (answer) => {
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(res);
  });
  onward.on('error', () => {
    // The worker is gone, and the session with it: Engine.IO's own answer, after which a client starts a new one.
    if (!res.headersSent) res.writeHead(400, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ code: 1, message: 'Session ID unknown' }));
  });
  res.on('close', () => onward.destroy());
  req.pipe(onward);
}

function handUpgradeOn(req: IncomingMessage, socket: Duplex, head: Buffer, socketPath: string): void {
  const onward = connect(socketPath, () => {
    const lines = [`${req.method ?? 'GET'} ${req.url ?? '/'} HTTP/1.1`];
    for (let at = 0; at < req.rawHeaders.length; at += 2) {
      lines.push(`${req.rawHeaders[at] ?? ''}: ${req.rawHeaders[at + 1] ?? ''}`);
    }
    onward.write(`${lines.join('\r\n')}\r\n\r\n`);
    onward.write(head);
    socket.pipe(onward).pipe(socket);
  });
  const end = () => {
    onward.destroy();
    socket.destroy();
  };
  onward.on('error', end).on('close', end);
  socket.on('error', end).on('close', end);
}
