#!/usr/bin/env bash
# faye 1.4.3: the first message that a client publishes arrives after the others that it publishes right behind it.
#
# Guessed: Bayeux, its protocol, promises no order, but with one client, one channel and one WebSocket there is no way to lose
# it: messages arrive in the order of the calls. At most what is sent before the connection stands is lost.
# Seen: each message waits until the connection stands, and then the first of them goes last: 1 2 3 0. It is so with
# WebSocket, with long-polling, and with the client that the server itself hands out, which has no network at all. Once the
# client is connected, be it by `connect()`, by a subscription or by an earlier message, all come in order.
# "Created" thus comes behind "changed" and "deleted" the first time after a start, and never in a test that subscribes with
# the same client before it publishes. Here the position is given in the database, before anything is sent.
#
# Output seen:
#   new client, WebSocket: 1 2 3 4 5 0
#   new client, long-polling: 1 2 3 4 5 0
#   connected, WebSocket: 0 1 2 3 4 5
#   connected, long-polling: 0 1 2 3 4 5
#   the server's own, first time: 1 2 3 4 5 0
#   the server's own, second time: 0 1 2 3 4 5
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent faye@1.4.3
cat >run.cjs <<'JS'
const { once } = require('node:events');
const { createServer } = require('node:http');
const { Client, NodeAdapter } = require('faye');

(async () => {
  const faye = new NodeAdapter({ mount: '/faye', timeout: 10 });
  const server = createServer();
  faye.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/faye`;
  const newClient = (transport) => {
    const client = new Client(url);
    if (transport === 'long-polling') client.disable('websocket');
    return client;
  };
  let heard;
  let allHeard;
  await newClient().subscribe('/posts', ({ at }) => {
    heard.push(at);
    if (heard.length === 6) allHeard();
  });

  const lines = [];
  async function burst(name, client) {
    heard = [];
    const all = new Promise((resolve) => (allHeard = resolve));
    for (let at = 0; at < 6; at += 1) client.publish('/posts', { at });
    await all;
    lines.push(`${name}: ${heard.join(' ')}`);
  }
  const transports = ['WebSocket', 'long-polling'];
  for (const transport of transports) await burst(`new client, ${transport}`, newClient(transport));
  for (const transport of transports) {
    const client = newClient(transport);
    await client.publish('/other', {});
    await burst(`connected, ${transport}`, client);
  }
  const own = faye.getClient();
  await burst("the server's own, first time", own);
  await burst("the server's own, second time", own);
  console.log(lines.join('\n'));
  const expected = [
    'new client, WebSocket: 1 2 3 4 5 0',
    'new client, long-polling: 1 2 3 4 5 0',
    'connected, WebSocket: 0 1 2 3 4 5',
    'connected, long-polling: 0 1 2 3 4 5',
    "the server's own, first time: 1 2 3 4 5 0",
    "the server's own, second time: 0 1 2 3 4 5",
  ];
  process.exit(lines.join() === expected.join() ? 0 : 1);
})();
JS
node --no-warnings run.cjs
