#!/usr/bin/env bash
# http-cache-semantics 4.3.0, which got 16.1.0 and npm keep their caches by: `No-Cache` and `Max-Age=0` are served from the
# cache for days.
#
# Guessed: names of directives may be written with capitals (RFC 9111, 5.2), so "Max-Age=0" is "max-age=0".
# Seen: each directive is known in lower case alone. Any other spelling is an unknown one and passed over, as if the header
# were not there; an answer with `Last-Modified` is then fresh for a tenth of its age. So got answers from its cache, without
# asking the server, what is to be asked for each time: ten days long for a document of a hundred days. "Max-Age=60" is these
# ten days, too. undici's cache knows each spelling.
# A server that writes capitals is served well by browsers, and by every other client that anybody tries. Here the directives
# that are sent are in lower case.
#
# Output seen:
#   no-cache: fresh for 0 s, got asks, undici asks
#   No-Cache: fresh for 864000 s, got does not ask, undici asks
#   max-age=0: fresh for 0 s, got asks, undici asks
#   Max-Age=0: fresh for 864000 s, got does not ask, undici asks
#   max-age=60: fresh for 60 s, got does not ask, undici does not ask
#   Max-Age=60: fresh for 864000 s, got does not ask, undici does not ask
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent http-cache-semantics@4.3.0 got@16.1.0 undici@7.30.2
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import got from 'got';
import CachePolicy from 'http-cache-semantics';
import { Agent, interceptors, request } from 'undici';

const hundredDays = 100 * 24 * 3600 * 1000;
let requests = 0;
let directives;
const server = createServer((_, res) => {
  requests += 1;
  res.setHeader('Cache-Control', directives);
  res.setHeader('Last-Modified', new Date(Date.now() - hundredDays).toUTCString());
  res.end('text');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${server.address().port}/`;

// Whether the second of two requests reaches the server.
async function word(ask) {
  await ask();
  await sleep(100);
  const before = requests;
  await ask();
  return requests > before ? 'asks' : 'does not ask';
}
const lines = [];
for (directives of ['no-cache', 'No-Cache', 'max-age=0', 'Max-Age=0', 'max-age=60', 'Max-Age=60']) {
  const now = Date.now();
  const headers = {
    date: new Date(now).toUTCString(),
    'cache-control': directives,
    'last-modified': new Date(now - hundredDays).toUTCString(),
  };
  const seconds = Math.ceil(new CachePolicy({ headers: {} }, { headers }).timeToLive() / 1000);
  const cache = new Map();
  const dispatcher = new Agent().compose(interceptors.cache());
  const byGot = await word(() => got(url, { cache }));
  const byUndici = await word(async () => (await request(url, { dispatcher })).body.text());
  lines.push(`${directives}: fresh for ${seconds} s, got ${byGot}, undici ${byUndici}`);
}
console.log(lines.join('\n'));
const expected = [
  'no-cache: fresh for 0 s, got asks, undici asks',
  'No-Cache: fresh for 864000 s, got does not ask, undici asks',
  'max-age=0: fresh for 0 s, got asks, undici asks',
  'Max-Age=0: fresh for 864000 s, got does not ask, undici asks',
  'max-age=60: fresh for 60 s, got does not ask, undici does not ask',
  'Max-Age=60: fresh for 864000 s, got does not ask, undici does not ask',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
