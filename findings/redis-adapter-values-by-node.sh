#!/usr/bin/env bash
# @socket.io/redis-adapter 8.3.0 (notepack.io 3.0.1) with socket.io 4.8.4 and ioredis 6.0.0: one broadcast hands the
# clients of other nodes another number than the clients of the node that sends it.
#
# Guessed: what JSON can hold arrives the same everywhere; at most what JSON cannot hold differs.
# Seen: a number from 2^64 on, in whatever depth, is cut to its lowest 64 bits on its way through Redis: 1e20 arrives as
# 7766279631452242000, 2^64 and 1e300 as 0, and no one is told. To clients of the sending node it goes as JSON, unchanged.
# Smaller numbers, also fractions, are right. Of a typed array each item arrives as one byte, whatever its size, and an
# invalid Date, null in JSON, becomes the first of January 1970.
# A large sum, or a number that stands for "more than anything", is thus right in every test with one node, and wrong for
# half of the users with two. Here ids and counts stay below 2^53.
#
# Output seen:
#   1e19: 10000000000000000000 | 10000000000000000000
#   1e20: 100000000000000000000 | 7766279631452242000
#   -1e20: -100000000000000000000 | -7766279631452242000
#   2^64: 18446744073709552000 | 0
#   1e300: 1e+300 | 0
#   in an object: {"total":1e+21} | {"total":3875820019684212700}
#   Uint16Array of 258 and 1: bytes 2,1,1,0 | bytes 2,1
#   Float64Array of 1.5: bytes 0,0,0,0,0,0,248,63 | bytes 1
#   an invalid Date: null | "1970-01-01T00:00:00.000Z"
set -euo pipefail
command -v redis-server >/dev/null || { echo 'install redis-server' >&2; exit 2; }
work=$(mktemp -d)
cd "$work"
port=$((20000 + RANDOM % 20000))
redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >/dev/null &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  socket.io@4.8.4 socket.io-client@4.8.4 @socket.io/redis-adapter@8.3.0 notepack.io@3.0.1 ioredis@6.0.0
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

async function startNode() {
  const pub = new Redis(Number(process.argv[2]));
  const sub = pub.duplicate();
  await Promise.all([once(pub, 'ready'), once(sub, 'ready')]);
  const http = createServer();
  const server = new Server(http, { adapter: createAdapter(pub, sub) });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const client = io(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'] });
  await new Promise((resolve) => client.on('connect', resolve));
  return { server, client };
}
const [sender, other] = [await startNode(), await startNode()];
// The other node listens when its first message has come.
for (let heard = false; !heard;) {
  const first = new Promise((resolve) => other.client.once('hello', () => resolve(true)));
  sender.server.emit('hello');
  heard = await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 100, false))]);
}

const told = (value) => (Buffer.isBuffer(value) ? `bytes ${[...value].join()}` : JSON.stringify(value));
const lines = [];
async function compare(name, value) {
  const heard = Promise.all(
    [sender, other].map(({ client }) => new Promise((resolve) => client.once('value', resolve))),
  );
  sender.server.emit('value', value);
  lines.push(`${name}: ${(await heard).map(told).join(' | ')}`);
}
await compare('1e19', 1e19);
await compare('1e20', 1e20);
await compare('-1e20', -1e20);
await compare('2^64', 2 ** 64);
await compare('1e300', 1e300);
await compare('in an object', { total: 1e21 });
await compare('Uint16Array of 258 and 1', new Uint16Array([258, 1]));
await compare('Float64Array of 1.5', new Float64Array([1.5]));
await compare('an invalid Date', new Date(NaN));
console.log(lines.join('\n'));
const expected = [
  '1e19: 10000000000000000000 | 10000000000000000000',
  '1e20: 100000000000000000000 | 7766279631452242000',
  '-1e20: -100000000000000000000 | -7766279631452242000',
  '2^64: 18446744073709552000 | 0',
  '1e300: 1e+300 | 0',
  'in an object: {"total":1e+21} | {"total":3875820019684212700}',
  'Uint16Array of 258 and 1: bytes 2,1,1,0 | bytes 2,1',
  'Float64Array of 1.5: bytes 0,0,0,0,0,0,248,63 | bytes 1',
  'an invalid Date: null | "1970-01-01T00:00:00.000Z"',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs $port
