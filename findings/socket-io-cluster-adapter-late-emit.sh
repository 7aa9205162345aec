#!/usr/bin/env bash
# @socket.io/cluster-adapter 0.3.0 (socket.io-adapter 2.5.8) with socket.io 4.8.4: a broadcast reaches the clients of the
# worker that sends it only after whatever the same function does next.
#
# Guessed: as without an adapter: `io.to(room).emit()` goes to who is in the room when it is called, and events arrive in the
# order of their calls, which the documentation promises. What is late is at most what goes to other workers.
# Seen: a single worker is enough. The broadcast waits for the message to the other workers, and looks into the room of its
# own worker afterwards. A socket that leaves or disconnects in the next statement does not get it, one that joins in the next
# statement does, and `socket.emit()` overtakes `io.emit()`; these four are the other way round without the adapter.
# `socketsLeave` waits alike, so it loses nothing.
# "You were removed", sent to a room that its member then leaves, thus arrives in development and never in a cluster, and a
# member who has just loaded a list gets the event that is already in it. Here what is sent to whom is fixed in the
# database before an adapter sees it.
#
# Output seen:
#   no adapter: emit and leave: received | emit and join: nothing | emit and disconnect: received | emit and socketsLeave: received | order: all, one
#   cluster: emit and leave: nothing | emit and join: received | emit and disconnect: nothing | emit and socketsLeave: received | order: one, all
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm pkg set overrides.socket.io-adapter=2.5.8
npm install --no-audit --no-fund --silent socket.io@4.8.4 socket.io-client@4.8.4 @socket.io/cluster-adapter@0.3.0 socket.io-adapter@2.5.8
cat >run.cjs <<'JS'
const cluster = require('node:cluster');
const { once } = require('node:events');
const { createServer } = require('node:http');
const { createAdapter, setupPrimary } = require('@socket.io/cluster-adapter');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');

async function results(options) {
  const http = createServer();
  const server = new Server(http, options);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');

  async function received(act) {
    const events = [];
    const client = io(`http://127.0.0.1:${http.address().port}`, { forceNew: true, reconnection: false });
    client.onAny((event) => events.push(event));
    const connected = once(client, 'connect');
    const [socket] = await once(server, 'connection');
    await connected;
    await act(socket);
    // What was sent is there when this is answered, or when the connection has ended.
    if (socket.connected) {
      socket.once('done', (answer) => answer());
      await client.emitWithAck('done');
    } else if (client.connected) await once(client, 'disconnect');
    client.disconnect();
    return events;
  }
  const one = async (act) => ((await received(act)).includes('event') ? 'received' : 'nothing');
  const room = () => server.to('room');
  return [
    `emit and leave: ${await one((socket) => {
      socket.join('room');
      room().emit('event');
      socket.leave('room');
    })}`,
    `emit and join: ${await one((socket) => {
      room().emit('event');
      socket.join('room');
    })}`,
    `emit and disconnect: ${await one((socket) => {
      server.emit('event');
      socket.disconnect(true);
    })}`,
    `emit and socketsLeave: ${await one((socket) => {
      socket.join('room');
      room().emit('event');
      room().socketsLeave('room');
    })}`,
    `order: ${(
      await received((socket) => {
        server.emit('all');
        socket.emit('one');
      })
    ).join(', ')}`,
  ].join(' | ');
}

const expected = {
  'no adapter':
    'emit and leave: received | emit and join: nothing | emit and disconnect: received | emit and socketsLeave: received | order: all, one',
  cluster:
    'emit and leave: nothing | emit and join: received | emit and disconnect: nothing | emit and socketsLeave: received | order: one, all',
};
async function check(name, options) {
  const seen = await results(options);
  console.log(`${name}: ${seen}`);
  process.exit(seen === expected[name] ? 0 : 1);
}
if (cluster.isWorker) void check('cluster', { adapter: createAdapter() });
else if (process.argv[2] === 'cluster') {
  setupPrimary();
  cluster.fork().once('exit', (code) => process.exit(code ?? 1));
} else void check('no adapter', {});
JS
timeout 20 node run.cjs
timeout 20 node run.cjs cluster
