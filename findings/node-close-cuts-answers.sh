#!/usr/bin/env bash
# Node.js 24.11.1 (also 20, 22 and 25): `server.close()` of an HTTP server cuts off answers that slow clients are still reading.
#
# Guessed: it stops listening and ends connections that are idle; an answer that was given with `res.end(body)` and that its
# client has not read yet is under way, since the response has not emitted `finish`. So all of it arrives.
# Seen: such a connection counts as idle as soon as `end` has been called. It is destroyed, and the client gets what the
# sockets' buffers held: 3.9 of 32 MB here, and then an ordinary end of the connection, without an error. `net.Server`'s
# own `close`, called on the same server, lets the whole answer arrive.
#
# Output seen:
#   http close: finish emitted before: false, whole: false, end: end
#   net close: finish emitted before: false, whole: true, end: end
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.11.1
cat >run.cjs <<'JS'
const { createServer } = require('node:http');
const { connect, Server } = require('node:net');

const BODY = 32 * 1024 * 1024;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function answerDuring(close) {
  let finished = false;
  let asked;
  const isAsked = new Promise((resolve) => (asked = resolve));
  const server = createServer((req, res) => {
    res.on('finish', () => (finished = true));
    res.writeHead(200, { 'Content-Length': BODY });
    res.end(Buffer.alloc(BODY, 'x'));
    asked();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

  const client = connect(server.address().port, '127.0.0.1');
  let bytes = 0;
  let end = 'none';
  client.on('error', ({ code }) => (end = code));
  client.on('end', () => (end = 'end'));
  client.on('data', (piece) => {
    bytes += piece.length;
    if (bytes > BODY) client.end();
  });
  client.pause();
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await isAsked;
  await pause(300);

  const line = `finish emitted before: ${finished}`;
  const closed = new Promise((resolve) => client.once('close', resolve));
  close(server);
  client.resume();
  await closed;
  return `${line}, whole: ${bytes > BODY}, end: ${end}`;
}

setTimeout(() => process.exit(2), 20_000).unref();
(async () => {
  const lines = [
    `http close: ${await answerDuring((server) => server.close())}`,
    `net close: ${await answerDuring((server) => Server.prototype.close.call(server))}`,
  ];
  console.log(lines.join('\n'));
  const expected = [
    'http close: finish emitted before: false, whole: false, end: end',
    'net close: finish emitted before: false, whole: true, end: end',
  ];
  process.exit(lines.join() === expected.join() ? 0 : 1);
})();
JS
node_modules/.bin/node run.cjs
