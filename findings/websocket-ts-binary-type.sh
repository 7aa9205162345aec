#!/usr/bin/env bash
# websocket-ts 2.3.0 (ws 8.23.0 in Node): after a reconnection binary messages come as another type than the one that
# was asked for.
#
# Guessed: `binaryType` of a socket that reconnects by itself holds for each of its connections, as its listeners do.
# Seen: it is set on the connection of that time, and the next one has the default: "blob" in browsers, "nodebuffer" in
# ws. Reading it back gives the default too. A decoder that takes an ArrayBuffer works until the network fails for the
# first time, and then gets a Blob, which has no bytes to be read at once. Nothing sets it again but a listener of
# "reconnect". The builder has no option for it. reconnecting-websocket 4.4.0 and partysocket 1.3.0 keep it. Here
# messages are text, and Socket.IO sets the type for each connection.
#
# Output seen:
#   websocket-ts: arraybuffer ArrayBuffer, then nodebuffer Buffer
#   reconnecting-websocket: arraybuffer ArrayBuffer, then arraybuffer ArrayBuffer
#   partysocket: arraybuffer ArrayBuffer, then arraybuffer ArrayBuffer
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent websocket-ts@2.3.0 ws@8.23.0 reconnecting-websocket@4.4.0 partysocket@1.3.0
cat >run.mjs <<'JS'
import partysocket from 'partysocket/ws';
import ReconnectingWebSocket from 'reconnecting-websocket';
import { ConstantBackoff, WebsocketBuilder } from 'websocket-ts';
import { WebSocket, WebSocketServer } from 'ws';

// Node 20 has no WebSocket of its own, and the one of later versions is not asked for.
globalThis.WebSocket = WebSocket;
globalThis.CloseEvent ??= class extends Event {
  constructor(type, values) {
    super(type);
    Object.assign(this, values);
  }
};
const options = { WebSocket, minReconnectionDelay: 50, maxReconnectionDelay: 50 };
const lines = [];
for (const [name, connect] of [
  ['websocket-ts', (url) => new WebsocketBuilder(url).withBackoff(new ConstantBackoff(50)).build()],
  ['reconnecting-websocket', (url) => new ReconnectingWebSocket(url, [], options)],
  ['partysocket', (url) => new (partysocket.default ?? partysocket)(url, [], options)],
]) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  // Each connection gets one message; the first one then ends.
  let connections = 0;
  server.on('connection', (socket) => {
    connections += 1;
    const first = connections === 1;
    socket.send(Buffer.from('bytes'), () => setTimeout(() => first && socket.terminate(), 100));
  });
  const socket = connect(`ws://127.0.0.1:${server.address().port}`);
  socket.binaryType = 'arraybuffer';
  const seen = [];
  await new Promise((resolve) => {
    const hear = (one, other) => {
      // websocket-ts calls its listeners with the socket first.
      const event = other ?? one;
      seen.push(`${socket.binaryType} ${event.data.constructor.name}`);
      if (seen.length === 2) resolve();
    };
    socket.addEventListener('message', hear);
  });
  socket.close();
  server.close();
  lines.push(`${name}: ${seen.join(', then ')}`);
}
console.log(lines.join('\n'));
const expected = [
  'websocket-ts: arraybuffer ArrayBuffer, then nodebuffer Buffer',
  'reconnecting-websocket: arraybuffer ArrayBuffer, then arraybuffer ArrayBuffer',
  'partysocket: arraybuffer ArrayBuffer, then arraybuffer ArrayBuffer',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
