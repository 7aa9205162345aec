import { readFile } from 'node:fs/promises';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

/** What of Socket.IO's client a page may load from here, as Socket.IO itself would serve it. */
const SCRIPT = /^\/socket\.io\/(socket\.io(?:\.min|\.esm\.min|\.msgpack\.min)?\.js(?:\.map)?)(?:\?|$)/;
/** There is no such file. */
const NONE = ['socket.io.esm.js', 'socket.io.msgpack.js'];
/** Listed in the header, and not with weight zero. */
const GZIP = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i;

interface Script {
  plain: Buffer;
  zipped: Buffer;
}

const require = createRequire(import.meta.url);
const home = dirname(require.resolve('socket.io/package.json'));
const { version } = require('socket.io/package.json') as { version: string };
const tag = `W/"${version}"`;
const kept = new Map<string, Promise<Script>>();

/**
 * Serves Socket.IO's client script, compressed once and kept. Socket.IO compresses it again for each request, for
 * anyone, with brotli at its slowest: half a second of one of Node's four threads.
 */
export function serveClientScript(req: IncomingMessage, res: ServerResponse, next: () => void): void {
  const name = SCRIPT.exec(req.url ?? '')?.[1];
  const isRead = req.method === 'GET' || req.method === 'HEAD';
  // An upgrade has no response that could be written to.
  if (name === undefined || NONE.includes(name) || !isRead || !(res instanceof ServerResponse)) {
    next();
    return;
  }
  let script = kept.get(name);
  if (!script) kept.set(name, (script = read(name)));
  script.then(
    (found) => answer(found, name, req, res),
    () => {
      kept.delete(name);
      next();
    },
  );
}

async function read(name: string): Promise<Script> {
  const plain = await readFile(join(home, 'client-dist', name));
  return { plain, zipped: await promisify(gzip)(plain) };
}

function answer({ plain, zipped }: Script, name: string, req: IncomingMessage, res: ServerResponse): void {
  res.setHeader('Cache-Control', 'public, max-age=0');
  // A page elsewhere loads it as a script; what it then sends is judged by itself.
  res.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  res.setHeader('ETag', tag);
  res.appendHeader('Vary', 'Accept-Encoding');
  if (req.headers['if-none-match']?.includes(tag.slice(2))) {
    res.writeHead(304).end();
    return;
  }
  const takesGzip = GZIP.test(req.headers['accept-encoding'] ?? '');
  const body = takesGzip ? zipped : plain;
  if (takesGzip) res.setHeader('Content-Encoding', 'gzip');
  res.setHeader(
    'Content-Type',
    `application/${name.endsWith('.map') ? 'json' : 'javascript'}; charset=utf-8`,
  );
  res.setHeader('Content-Length', body.length);
  res.writeHead(200).end(req.method === 'HEAD' ? undefined : body);
}
