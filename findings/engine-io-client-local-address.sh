#!/usr/bin/env bash
# engine.io-client 6.6.8 (with socket.io-client 4.8.4) in Node: the option `localAddress` binds a WebSocket, and is
# passed over by long-polling.
#
# Guessed: a connection comes from that address whatever its transport.
# Seen: the polling requests of a connection come from the default address, its upgrade to a WebSocket from the one that was
# asked for. One session thus has two addresses. Behind a load balancer that keeps a session on its node by the client's
# address, the upgrade goes to another node, where the session is not known, and the client stays on long-polling for good.
# With `agent: new http.Agent({ localAddress })` both come from there.
#
# Output seen:
#   localAddress: polling 127.0.0.1, websocket 127.0.0.9
#   agent: polling 127.0.0.9, websocket 127.0.0.9
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent socket.io@4.8.4 socket.io-client@4.8.4 engine.io-client@6.6.8
cat >run.cjs <<'JS'
const { createServer, Agent } = require('node:http');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');

const http = createServer();
const server = new Server(http);
// Each request of the session, by its transport; the first of a kind is enough.
const seen = {};
const look = (req, transport) => (seen[transport] ??= req.socket.remoteAddress.replace('::ffff:', ''));
http.prependListener('request', (req) => look(req, 'polling'));
http.prependListener('upgrade', (req) => look(req, 'websocket'));

async function addresses(options) {
  for (const key of Object.keys(seen)) delete seen[key];
  const client = io(`http://127.0.0.1:${http.address().port}`, { forceNew: true, ...options });
  client.on('error', () => undefined);
  await new Promise((resolve, reject) => {
    client.once('connect_error', reject);
    client.once('connect', resolve);
  });
  while (client.io.engine.transport.name !== 'websocket') await new Promise((resolve) => setTimeout(resolve, 20));
  client.disconnect();
  return `polling ${seen.polling}, websocket ${seen.websocket}`;
}

setTimeout(() => process.exit(2), 20_000).unref();
http.listen(0, '127.0.0.1', async () => {
  const lines = [
    `localAddress: ${await addresses({ localAddress: '127.0.0.9' })}`,
    `agent: ${await addresses({ agent: new Agent({ localAddress: '127.0.0.9' }) })}`,
  ];
  console.log(lines.join('\n'));
  const expected = [
    'localAddress: polling 127.0.0.1, websocket 127.0.0.9',
    'agent: polling 127.0.0.9, websocket 127.0.0.9',
  ];
  process.exit(lines.join() === expected.join() ? 0 : 1);
});
JS
node run.cjs
