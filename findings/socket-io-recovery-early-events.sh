#!/usr/bin/env bash
# socket.io 4.8.4 (socket.io-adapter 2.5.8) with `connectionStateRecovery`: an event that is sent to a socket in a middleware
# is lost, and the option, which is there so that less is lost, is the only reason.
#
# Guessed: the option changes what happens when a client comes back. While the connection stands, `socket.emit()` sends the
# same to the same socket, at most with one more argument, as its release notes say.
# Seen: with the option `socket.emit()` is a broadcast to the room with the socket's id. The socket joins this room after its
# middlewares, so what these send is looked for in an empty room, and dropped without an error, also if an answer is asked
# for. In the same way a socket that leaves the room of its id is deaf to `socket.emit()` from then on. A greeting or a list
# of missed messages, sent by the middleware that has just loaded the account, thus disappears on the day on which recovery is
# turned on. Here the option is off: clients resume by their position in the log.
#
# Output seen:
#   without: in a middleware received, with acknowledgement received, on connection received, after leaving its own room received
#   with: in a middleware lost, with acknowledgement lost, on connection received, after leaving its own room lost
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent socket.io@4.8.4 socket.io-client@4.8.4 socket.io-adapter@2.5.8
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

async function outcome(options) {
  const http = createServer();
  const server = new Server(http, options);
  server.use((socket, next) => {
    socket.emit('in a middleware');
    socket.emit('with acknowledgement', () => undefined);
    next();
  });
  server.on('connection', (socket) => {
    socket.emit('on connection');
    socket.leave(socket.id);
    socket.emit('after leaving its own room');
    socket.on('done', (answer) => answer());
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const client = io(`http://127.0.0.1:${http.address().port}`, { forceNew: true });
  const received = [];
  client.onAny((event) => received.push(event));
  await once(client, 'connect');
  // An answer comes behind everything that was sent before it.
  await client.emitWithAck('done');
  client.disconnect();
  server.close();
  return ['in a middleware', 'with acknowledgement', 'on connection', 'after leaving its own room']
    .map((event) => `${event} ${received.includes(event) ? 'received' : 'lost'}`)
    .join(', ');
}
const lines = [`without: ${await outcome({})}`, `with: ${await outcome({ connectionStateRecovery: {} })}`];
console.log(lines.join('\n'));
const expected = [
  'without: in a middleware received, with acknowledgement received, on connection received, after leaving its own room received',
  'with: in a middleware lost, with acknowledgement lost, on connection received, after leaving its own room lost',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
timeout 30 node run.mjs
