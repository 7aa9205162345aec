#!/usr/bin/env bash
# better-sse 0.16.1: of several cookies that are set before `createSession` the last one alone arrives.
#
# Guessed: the session adds its own headers, such as the content type, to those which the response has already.
# Seen: so it is, also with another header of several values such as `Vary`. But of two `Set-Cookie` the first is not sent,
# with HTTP/1, HTTP/2 and the Fetch API alike.
# One middleware that renews the cookie of a session, and another that sets one against forged requests, work on each route
# but the stream, where the one that ran first is without effect. Here no stream sets a cookie.
#
# Output seen:
#   HTTP/1: cookies theme=dark; Vary Origin, Accept
#   HTTP/2: cookies theme=dark; Vary Origin, Accept
#   Fetch: cookies theme=dark; Vary Origin, Accept
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent better-sse@0.16.1
cat >run.mjs <<'JS'
import { once } from 'node:events';
import * as http1 from 'node:http';
import * as http2 from 'node:http2';
import { createResponse, createSession } from 'better-sse';

const cookies = ['session=1', 'theme=dark'];
async function answer(req, res) {
  res.setHeader('Set-Cookie', cookies);
  res.setHeader('Vary', ['Origin', 'Accept']);
  await createSession(req, res);
  res.end();
}
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}
const lines = [];
const tell = (name, sent, vary) => lines.push(`${name}: cookies ${sent.join(' ')}; Vary ${vary}`);

const byOne = await fetch(await listen(http1.createServer(answer)));
await byOne.text();
tell('HTTP/1', byOne.headers.getSetCookie(), byOne.headers.get('vary'));

const client = http2.connect(await listen(http2.createServer(answer)));
const [byTwo] = await once(client.request({ ':path': '/' }), 'response');
tell('HTTP/2', byTwo['set-cookie'], byTwo.vary);

const headers = [...cookies.map((cookie) => ['Set-Cookie', cookie]), ['Vary', 'Origin, Accept']];
const byFetch = createResponse(new Request('http://localhost/'), new Response(null, { headers }), () => undefined);
tell('Fetch', byFetch.headers.getSetCookie(), byFetch.headers.get('vary'));

console.log(lines.join('\n'));
const expected = [
  'HTTP/1: cookies theme=dark; Vary Origin, Accept',
  'HTTP/2: cookies theme=dark; Vary Origin, Accept',
  'Fetch: cookies theme=dark; Vary Origin, Accept',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node --no-warnings run.mjs
