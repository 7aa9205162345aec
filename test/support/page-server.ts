import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** Serves the files of a page from an origin of their own, as somebody who builds on the client does. */
export class PageServer {
  /** What is served: set before anything is asked for. */
  folder: string | undefined;
  readonly origin: string;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (req, res) => {
      const { pathname } = new URL(req.url ?? '/', this.origin);
      const name = pathname === '/' ? 'index.html' : pathname;
      readFile(join(this.folder ?? '', name)).then(
        (content) =>
          res.writeHead(200, { 'Content-Type': TYPES[extname(name)] ?? 'text/plain' }).end(content),
        () => res.writeHead(404).end(),
      );
    });
  }

  static async start(): Promise<PageServer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PageServer(server);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
