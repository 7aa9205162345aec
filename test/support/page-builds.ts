import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join, relative } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { packageRoot } from '../../server/paths.ts';
import { forward, forwardUpgrade } from './http-proxy.ts';

const BUILT = join(packageRoot, 'dist/web');
const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/**
 * A proxy before a server, at one address while the server comes and goes, that can serve the page as a later build would
 * be: the same, with other names of its files.
 */
export class PageBuilds {
  readonly #target: URL;
  readonly #sockets = new Set<Duplex>();
  #server: Server | undefined;
  #port = 0;
  #later: ReadonlyMap<string, Buffer> | undefined;

  constructor(target: string) {
    this.#target = new URL(target);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer((req, res) => {
      // The server may go away before it has answered.
      this.#answer(req, res).catch(() => res.destroy());
    });
    server.on('connection', (socket) => this.#keep(socket));
    server.on('upgrade', (req, socket, head) => this.#keep(forwardUpgrade(this.#target, req, socket, head)));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** It can no longer be reached. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Serves a later build from now on, which says so in its head. */
  async serveLater(): Promise<void> {
    const files = new Map<string, Buffer>();
    const rename = (text: string) => text.replaceAll(/(\b[\w-]+-[\w-]{8})(\.(?:js|css))/g, '$1later$2');
    for (const entry of await readdir(BUILT, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const content = await readFile(path);
      const isText = ['.html', '.js', '.css'].includes(extname(path));
      const text = isText ? rename(content.toString()) : '';
      const changed = text
        .replace('<title>', '<meta name="build" content="later"><title>')
        .replace(/"name":"[\w-]{12}"/, '"name":"laterlaterla"');
      files.set(`/${rename(relative(BUILT, path))}`, isText ? Buffer.from(changed) : content);
    }
    this.#later = files;
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = new URL(req.url ?? '/', this.url).pathname;
    const answer = await forward(this.#target, req);
    const isPage = answer.headers['content-type']?.startsWith('text/html') ?? false;
    const later = this.#later?.get(isPage ? '/index.html' : path);
    if (!later && !(this.#later && path.startsWith('/assets/'))) {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('error', () => res.destroy()).pipe(res);
      return;
    }
    answer.resume();
    const { 'content-security-policy': policy, 'cache-control': cache = 'no-cache' } = answer.headers;
    res.writeHead(later ? 200 : 404, {
      'Content-Type': types[isPage ? '.html' : extname(path)] ?? 'application/octet-stream',
      'Cache-Control': cache,
      ...(policy === undefined ? {} : { 'Content-Security-Policy': policy }),
    });
    res.end(later);
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
