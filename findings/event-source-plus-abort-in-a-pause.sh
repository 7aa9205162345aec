#!/usr/bin/env bash
# event-source-plus 0.1.15: `abort()` while the client waits for its next try does nothing; it connects again and stays
# connected.
#
# Guessed: `controller.abort()` ends it for good, whatever it is doing, as `close()` of EventSource does.
# Seen: after each pause the client takes a new AbortController, so one that was aborted in the pause is forgotten. The
# pause doubles up to 30 seconds while a server fails: who leaves the page at that time, or loses a component that
# listens, leaves a client behind that no one holds any more. It comes back when the server does, calls `onMessage`, and
# takes a connection for as long as the process or tab lives. `onAbort` was called, so everything looks ended. While a
# stream is open, `abort()` ends it. eventsource 5.1.5 stays closed in both cases.
#
# Output seen:
#   event-source-plus, in a pause: told of the abort, 1 stream afterwards, 1 message
#   event-source-plus, while open: told of the abort, 0 streams afterwards, 0 messages
#   eventsource, in a pause: closed, 0 streams afterwards, 0 messages
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent event-source-plus@0.1.15 eventsource@5.1.5
cat >run.mjs <<'JS'
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventSourcePlus } from 'event-source-plus';
import { EventSource } from 'eventsource';

// The server is down at first: it answers 503, or ends its stream at once.
let down = true;
let streams = 0;
let failures = 0;
const server = createServer((req, res) => {
  if (down && req.url === '/plus') {
    failures += 1;
    res.writeHead(503).end();
    return;
  }
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  if (down) {
    failures += 1;
    res.end('retry: 400\n\n');
    return;
  }
  streams += 1;
  res.write('data: hello\n\n');
  req.on('close', () => (streams -= 1));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}`;
const lines = [];
let messages = 0;
const line = (name, told) => {
  const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  lines.push(`${name}: ${told}, ${count(streams, 'stream')} afterwards, ${count(messages, 'message')}`);
};

const listen = () => {
  let told = 'not told';
  const controller = new EventSourcePlus(`${url}/plus`, { maxRetryInterval: 1000 }).listen({
    onMessage: () => (messages += 1),
  });
  controller.onAbort(() => (told = 'told of the abort'));
  return { controller, told: () => told };
};
const first = listen();
// After ten failures the pauses are of a second.
while (failures < 10) await sleep(10);
await sleep(100);
first.controller.abort();
down = false;
await sleep(2500);
line('event-source-plus, in a pause', first.told());
const left = streams;
streams = 0;

const second = listen();
while (streams === 0) await sleep(10);
await sleep(100);
messages = 0;
second.controller.abort();
await sleep(1500);
line('event-source-plus, while open', second.told());

down = true;
streams = failures = messages = 0;
const source = new EventSource(`${url}/other`);
source.onmessage = () => (messages += 1);
while (failures < 1) await sleep(10);
await sleep(100);
source.close();
down = false;
await sleep(1500);
line('eventsource, in a pause', source.readyState === EventSource.CLOSED ? 'closed' : 'open');

console.log(lines.join('\n'));
const expected = [
  'event-source-plus, in a pause: told of the abort, 1 stream afterwards, 1 message',
  'event-source-plus, while open: told of the abort, 0 streams afterwards, 0 messages',
  'eventsource, in a pause: closed, 0 streams afterwards, 0 messages',
];
process.exit(left === 1 && lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
