#!/usr/bin/env bash
# socket.io 4.8.4 with @socket.io/redis-adapter 8.3.0: `io.local.timeout(ms).emitWithAck()` always fails when there is a
# second node, although every client that was asked has answered.
#
# Guessed: `local` asks the clients of this node, so the answers are there when the last of them has answered. If one of the
# two could time out, it is the broadcast to all nodes.
# Seen: the broadcast to all nodes is answered at once. The local one waits for as many nodes to report as the adapter counts,
# of which one alone was asked: it takes the whole time, and is rejected with "operation has timed out", with all answers in
# `error.responses`. With one node it succeeds. It works in every test with one node, and each call fails from the day on
# which the second is started. Socket.IO's own counting does it, so other adapters that count nodes are the same. Here no
# event waits for clients' acknowledgements.
#
# Output seen:
#   one node: local answered by 1 at once, all answered by 1 at once
#   two nodes: local operation has timed out, with 1 answers after the whole time, all answered by 2 at once
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
  socket.io@4.8.4 socket.io-client@4.8.4 @socket.io/redis-adapter@8.3.0 ioredis@6.0.0
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

const TIMEOUT = 3000;
const port = Number(process.argv[2]);
async function startNode() {
  const http = createServer();
  const server = new Server(http, { adapter: createAdapter(new Redis(port), new Redis(port)) });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const client = io(`http://127.0.0.1:${http.address().port}`, { forceNew: true });
  client.on('ask', (answer) => answer('here'));
  await once(client, 'connect');
  return server;
}
async function outcome(operator) {
  const start = performance.now();
  const result = await operator
    .timeout(TIMEOUT)
    .emitWithAck('ask')
    .then(
      (answers) => `answered by ${answers.length}`,
      (error) => `${error.message}, with ${error.responses.length} answers`,
    );
  const took = performance.now() - start;
  return `${result} ${took < TIMEOUT - 100 ? 'at once' : 'after the whole time'}`;
}
const lines = [];
const node = await startNode();
const report = async (name) =>
  lines.push(`${name}: local ${await outcome(node.local)}, all ${await outcome(node)}`);
await report('one node');
await startNode();
// Until each sees the other.
while ((await node.of('/').adapter.serverCount()) < 2) await new Promise((resolve) => setTimeout(resolve, 50));
await report('two nodes');
console.log(lines.join('\n'));
const expected = [
  'one node: local answered by 1 at once, all answered by 1 at once',
  'two nodes: local operation has timed out, with 1 answers after the whole time, all answered by 2 at once',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
timeout 30 node run.mjs $port
