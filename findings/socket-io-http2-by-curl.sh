#!/usr/bin/env bash
# Socket.IO 4.8.1 on the server of Express 5.1.0: clients that offer HTTP/2 over plain HTTP get no answer from any route.
#
# Guessed: `curl --http2 http://…` sends `Upgrade: h2c` beside an ordinary request. A server without HTTP/2 ignores the offer and
# answers by HTTP/1.1, as RFC 9110 (7.8) lets it. Socket.IO concerns its own path.
# Seen: so it is until a Socket.IO server is attached. From then on every request with such an offer, on whatever path, is
# taken from Express: nothing is answered, and after a second the connection ends ("Empty reply from server").
# Node hands a request with `Upgrade` to the listeners of `upgrade` alone as soon as there is one, and Engine.IO ends what is not on its
# path. The HTTP client of Java offers h2c by default for `http` addresses. Here such a request is answered by HTTP/1.1.
#
# Output seen:
#   Express: 200 hello
#   Express with Socket.IO: 200 hello, without the offer
#   Express with Socket.IO: no answer, with the offer
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent express@5.1.0 socket.io@4.8.1
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import express from 'express';
import { Server } from 'socket.io';

const app = express();
app.get('/hello', (_req, res) => res.send('hello'));
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}
const alone = await listen(createServer(app));
const http = createServer(app);
const io = new Server(http);
const withSocketIo = await listen(http);

/** As curl sends it. */
const OFFER = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAoAAAAAIAAAAA' };
async function ask(port, headers) {
  const asked = request({ port, path: '/hello', headers, agent: false }).end();
  try {
    const [response] = await once(asked, 'response');
    return `${response.statusCode} ${(await response.toArray()).join('')}`;
  } catch {
    return 'no answer';
  }
}
const lines = [
  `Express: ${await ask(alone, OFFER)}`,
  `Express with Socket.IO: ${await ask(withSocketIo, {})}, without the offer`,
  `Express with Socket.IO: ${await ask(withSocketIo, OFFER)}, with the offer`,
];
console.log(lines.join('\n'));
const expected = [
  'Express: 200 hello',
  'Express with Socket.IO: 200 hello, without the offer',
  'Express with Socket.IO: no answer, with the offer',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
timeout 30 node --no-warnings run.mjs
