#!/usr/bin/env bash
# sirv 3.0.2 and express 5.3.0 (send 1.2.1, range-parser 1.3.0): who asks for the last bytes of a file gets the first
# ones, or an error.
#
# Guessed: `Range: bytes=-100` is the last 100 bytes, and the whole file if it is shorter (RFC 9110, 14.1.2). Who
# follows a log asks so, and so do readers of ZIP, MP4 and Parquet, whose directory is at the end.
# Seen: sirv reads it as `bytes=0-100`: a 206 with 101 bytes from the start, and its `Content-Range` says so; only a
# client that compares it notices. Express is right for a longer file, and answers 416 where the file is shorter than
# what was asked for, as @fastify/static 10.1.11 and serve-handler 6.1.8 do, which use the same parser. So a log that
# can be followed when it is long cannot when it is young. @hono/node-server 2.1.9 is right in both. Known as
# https://github.com/lukeed/sirv/issues/155. Here express.static has pages and scripts, which are asked for as a whole.
#
# Output seen:
#   sirv: of 300 bytes the last 100: 206, bytes 0-100/300; the last 500: 206, bytes 0-299/300
#   express: of 300 bytes the last 100: 206, bytes 200-299/300; the last 500: 416, bytes */300
#   @fastify/static: of 300 bytes the last 100: 206, bytes 200-299/300; the last 500: 416, bytes */300
#   serve-handler: of 300 bytes the last 100: 206, bytes 200-299/300; the last 500: 416, bytes */300
#   @hono/node-server: of 300 bytes the last 100: 206, bytes 200-299/300; the last 500: 206, bytes 0-299/300
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent sirv@3.0.2 express@5.3.0 send@1.2.1 range-parser@1.3.0 fastify@5.12.8 \
  @fastify/static@10.1.11 serve-handler@6.1.8 hono@4.13.19 @hono/node-server@2.1.9
mkdir files
head -c 300 /dev/zero | tr '\0' x >files/log.txt
cat >run.mjs <<'JS'
import { createServer } from 'node:http';
import fastifyStatic from '@fastify/static';
import { serve } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import serveHandler from 'serve-handler';
import sirv from 'sirv';

const listen = (handler) =>
  new Promise((resolve) => {
    const server = createServer(handler).listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
const app = fastify();
app.register(fastifyStatic, { root: `${process.cwd()}/files` });
await app.listen({ port: 0, host: '127.0.0.1' });
const hono = new Hono().use('/*', serveStatic({ root: './files' }));
const ports = {
  sirv: await listen(sirv('files')),
  express: await listen(express().set('env', 'test').use(express.static('files'))),
  '@fastify/static': app.server.address().port,
  'serve-handler': await listen((req, res) => serveHandler(req, res, { public: 'files' })),
  '@hono/node-server': await new Promise((resolve) => {
    serve({ fetch: hono.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port));
  }),
};
const lines = [];
for (const [name, port] of Object.entries(ports)) {
  const answer = async (count) => {
    const headers = { range: `bytes=-${count}` };
    const res = await fetch(`http://127.0.0.1:${port}/log.txt`, { headers });
    await res.arrayBuffer();
    return `${res.status}, ${res.headers.get('content-range')}`;
  };
  lines.push(`${name}: of 300 bytes the last 100: ${await answer(100)}; the last 500: ${await answer(500)}`);
}
console.log(lines.join('\n'));
const short = 'of 300 bytes the last 100: 206, bytes 200-299/300; the last 500: 416, bytes */300';
const expected = [
  'sirv: of 300 bytes the last 100: 206, bytes 0-100/300; the last 500: 206, bytes 0-299/300',
  `express: ${short}`,
  `@fastify/static: ${short}`,
  `serve-handler: ${short}`,
  '@hono/node-server: of 300 bytes the last 100: 206, bytes 200-299/300; the last 500: 206, bytes 0-299/300',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
