import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Asks a server what a proxy was asked. @returns the answer, whose body is still to come */
export async function forward({ hostname, port }: URL, req: IncomingMessage): Promise<IncomingMessage> {
  const asked = request({ hostname, port, path: req.url, method: req.method, headers: req.headers });
  req.pipe(asked);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  // After the answer has begun, it tells of the same.
  asked.on('error', () => undefined);
  return answer;
}

/** Joins a connection that is to be a WebSocket with one to a server. @returns the latter */
export function forwardUpgrade(
  { hostname, port }: URL,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Socket {
  const upstream = connect(Number(port), hostname);
  for (const one of [socket, upstream]) one.on('error', () => undefined);
  const headers = Object.entries(req.headers).map(([name, value]) => `${name}: ${String(value)}`);
  upstream.write(`${req.method} ${req.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
  upstream.write(head);
  socket.pipe(upstream).pipe(socket);
  socket.once('close', () => upstream.destroy());
  upstream.once('close', () => socket.destroy());
  return upstream;
}
