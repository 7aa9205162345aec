#!/usr/bin/env bash
# pusher-js 8.6.0 with pusher 5.3.4: a text that is sent as a text arrives as something else, if it happens to be JSON.
#
# Guessed: what `trigger(channel, event, data)` sends arrives the same: a text as a text, an object as an object.
# Seen: `trigger` sends a text as it is, and all else as JSON, and nothing says which of the two it was. The client takes for
# JSON whatever can be read so: "123" arrives as a number, "null" as null, "12345678901234567890" as another number, and
# a text in quotation marks without them. "hello" and "007" are no JSON and stay texts. In an object everything is kept.
# A chat that sends the message alone works until somebody writes "null" or a number. Here the data of an event
# is always an object.
#
# Output seen:
#   "hello" -> "hello"
#   "007" -> "007"
#   "123" -> 123
#   "1e3" -> 1000
#   "12345678901234567890" -> 12345678901234567000
#   "null" -> null
#   "\"quoted\"" -> "quoted"
#   "{\"a\":1}" -> {"a":1}
#   {"text":"123"} -> {"text":"123"}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent pusher-js@8.6.0 pusher@5.3.4 ws@8.23.0
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import Pusher from 'pusher';
import PusherClient from 'pusher-js';
import { WebSocketServer } from 'ws';

// The server's part of the Pusher protocol: it hands on `data` as it has got it.
const server = createServer(async (req, res) => {
  const { name: event, channels, data } = await json(req);
  for (const socket of sockets.clients) socket.send(JSON.stringify({ event, channel: channels[0], data }));
  res.setHeader('content-type', 'application/json').end('{}');
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => {
  const send = (event, data, channel) => socket.send(JSON.stringify({ event, channel, data: JSON.stringify(data) }));
  send('pusher:connection_established', { socket_id: '1.1', activity_timeout: 120 });
  socket.on('message', (message) => {
    const { event, data } = JSON.parse(message);
    if (event === 'pusher:subscribe') send('pusher_internal:subscription_succeeded', {}, data.channel);
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();

const sender = new Pusher({ appId: '1', key: 'key', secret: 'secret', host: '127.0.0.1', port: `${port}` });
const client = new PusherClient('key', {
  cluster: '',
  wsHost: '127.0.0.1',
  wsPort: port,
  forceTLS: false,
  enabledTransports: ['ws'],
});
const channel = client.subscribe('chat');
await new Promise((resolve) => channel.bind('pusher:subscription_succeeded', resolve));
const lines = [];
for (const data of [
  'hello',
  '007',
  '123',
  '1e3',
  '12345678901234567890',
  'null',
  '"quoted"',
  '{"a":1}',
  { text: '123' },
]) {
  const heard = new Promise((resolve) => channel.bind('said', resolve));
  await sender.trigger('chat', 'said', data);
  lines.push(`${JSON.stringify(data)} -> ${JSON.stringify(await heard)}`);
  channel.unbind('said');
}
console.log(lines.join('\n'));
const expected = [
  '"hello" -> "hello"',
  '"007" -> "007"',
  '"123" -> 123',
  '"1e3" -> 1000',
  '"12345678901234567890" -> 12345678901234567000',
  '"null" -> null',
  '"\\"quoted\\"" -> "quoted"',
  '"{\\"a\\":1}" -> {"a":1}',
  '{"text":"123"} -> {"text":"123"}',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
