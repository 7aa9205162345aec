#!/usr/bin/env bash
# @socket.io/redis-streams-adapter 0.3.1 (@msgpack/msgpack 2.8.0) with socket.io 4.8.4 and redis 6.3.1: a Buffer in a broadcast
# changes what the clients of other nodes get beside it, or lets nothing arrive there at all.
#
# Guessed: the arguments of an event arrive everywhere as `JSON.stringify` gives them, and a Buffer as bytes, whether it
# stands alone or beside them.
# Seen: so it is without a Buffer. With one anywhere in the event, the whole message is packed in another format on its way
# through Redis, which does not know `toJSON`: an amount that is "1.50" for the clients of the sending node is
# {"cents":150} for the others, private members included, and a URL is {}. A member that is undefined, and left out in JSON,
# becomes null; an invalid Date the first of January 1970. If an object has a method of its own, the event reaches the
# clients of the sending node only, and neither is an error thrown nor a promise rejected.
# A picture that is added to a message later thus changes the fields that were there before, for the half of the users who
# are connected to other nodes. Here events are plain JSON, written as text before they are sent.
#
# Output seen:
#   amount: "1.50" | "1.50"
#   amount beside a Buffer: "1.50" | {"cents":150}
#   URL: "http://example.org/" | "http://example.org/"
#   URL beside a Buffer: "http://example.org/" | {}
#   undefined member: {"b":1} | {"b":1}
#   undefined member beside a Buffer: {"b":1} | {"a":null,"b":1}
#   invalid Date: null | null
#   invalid Date beside a Buffer: null | "1970-01-01T00:00:00.000Z"
#   with a method: {"b":1} | {"b":1}
#   with a method beside a Buffer: {"b":1} | nothing
#   errors seen: 0
set -euo pipefail
command -v redis-server >/dev/null || { echo 'install redis-server' >&2; exit 2; }
work=$(mktemp -d)
cd "$work"
port=$((20000 + RANDOM % 20000))
redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >/dev/null &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm init -y >/dev/null
npm install --no-audit --no-fund --silent socket.io@4.8.4 socket.io-client@4.8.4 \
  @socket.io/redis-streams-adapter@0.3.1 @msgpack/msgpack@2.8.0 redis@6.3.1
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

let errors = 0;
process.on('uncaughtException', () => errors++);
process.on('unhandledRejection', () => errors++);

async function startNode() {
  const redis = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  redis.on('error', () => errors++);
  await redis.connect();
  const http = createServer();
  const server = new Server(http, { adapter: createAdapter(redis) });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const client = io(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'] });
  await new Promise((resolve) => client.on('connect', resolve));
  return { server, client };
}
const [sender, other] = [await startNode(), await startNode()];

/** The next event that the client gets, until the one that says that nothing comes any more. */
const heardBy = (client) =>
  new Promise((resolve) => {
    const hear = (name, value) => {
      if (name === 'hello') return;
      client.offAny(hear);
      resolve(name === 'value' ? JSON.stringify(value) : 'nothing');
    };
    client.onAny(hear);
  });
for (let heard = false; !heard; ) {
  const first = new Promise((resolve) => other.client.once('hello', () => resolve(true)));
  sender.server.emit('hello');
  heard = await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 100, false))]);
}

class Amount {
  constructor(cents) {
    this.cents = cents;
  }
  toJSON() {
    return (this.cents / 100).toFixed(2);
  }
}
const values = {
  amount: new Amount(150),
  URL: new URL('http://example.org/'),
  'undefined member': { a: undefined, b: 1 },
  'invalid Date': new Date(NaN),
  'with a method': { a() {}, b: 1 },
};
const lines = [];
for (const [name, value] of Object.entries(values))
  for (const beside of [[], [Buffer.from('picture')]]) {
    const heard = Promise.all([sender, other].map(({ client }) => heardBy(client)));
    sender.server.emit('value', value, ...beside);
    sender.server.emit('end');
    lines.push(`${name}${beside.length > 0 ? ' beside a Buffer' : ''}: ${(await heard).join(' | ')}`);
    // Both have heard the end, which follows everything else.
    const rest = [sender, other].map(({ client }) => new Promise((resolve) => client.once('rest', resolve)));
    sender.server.emit('rest');
    await Promise.all(rest);
  }
lines.push(`errors seen: ${errors}`);
console.log(lines.join('\n'));
const expected = [
  'amount: "1.50" | "1.50"',
  'amount beside a Buffer: "1.50" | {"cents":150}',
  'URL: "http://example.org/" | "http://example.org/"',
  'URL beside a Buffer: "http://example.org/" | {}',
  'undefined member: {"b":1} | {"b":1}',
  'undefined member beside a Buffer: {"b":1} | {"a":null,"b":1}',
  'invalid Date: null | null',
  'invalid Date beside a Buffer: null | "1970-01-01T00:00:00.000Z"',
  'with a method: {"b":1} | {"b":1}',
  'with a method beside a Buffer: {"b":1} | nothing',
  'errors seen: 0',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
timeout 60 node run.mjs $port
