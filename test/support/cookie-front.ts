import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { forward, forwardUpgrade } from './http-proxy.ts';

const COOKIE = 'front=open';

/** A proxy with a log-in of its own, as a company has it: it gives a cookie at `/enter`, and answers nothing without. */
export class CookieFront {
  readonly url: string;
  /** What came without the cookie, such as `POST /users`. */
  readonly refused: string[] = [];
  readonly #server: Server;

  constructor(server: Server, target: URL) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (req, res) => {
      if (req.url === '/enter')
        res.writeHead(204, { 'Set-Cookie': `${COOKIE}; HttpOnly; SameSite=Lax; Path=/` }).end();
      // A browser asks without cookies whether it may send them.
      else if (req.method !== 'OPTIONS' && !this.#admits(req)) res.writeHead(401).end();
      else
        forward(target, req).then(
          (answer) => answer.pipe(res.writeHead(answer.statusCode ?? 502, answer.headers)),
          () => res.destroy(),
        );
    });
    server.on('upgrade', (req, socket, head) => {
      if (this.#admits(req)) forwardUpgrade(target, req, socket, head);
      else socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    });
  }

  static async start(target: string): Promise<CookieFront> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CookieFront(server, new URL(target));
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #admits({ method, url, headers }: IncomingMessage): boolean {
    const admits = headers.cookie?.split('; ').includes(COOKIE) ?? false;
    if (!admits) this.refused.push(`${method} ${url}`);
    return admits;
  }
}
