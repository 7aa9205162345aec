#!/usr/bin/env bash
# eventsource-client 1.2.0: where the server ends the stream, a loop over it loses messages that have arrived, and `connect()`
# does not connect any more.
#
# Guessed: 204 is the server's word that nothing more will come, so a loop `for await (const message of source)` gets what
# has come and ends. `connect()` then connects anew, also straight after a `close()`.
# Seen: with the 204 all messages are thrown away that the loop has not taken yet: a loop that needs time for each gets one
# of five. `lastEventId` says 5, so one that stores it, and starts from there the next time, never gets the other four. A
# loop that does not wait for anything, and `onMessage`, get all of them.
# After a 204 `connect()` does nothing, however often it is called. So does one that is called straight after `close()`, and
# `readyState` stays "closed"; a moment later it connects.
# A page that writes each message into a database thus loses the end of every stream that is finished, and no error says so.
# Here a stream has no end, and a client's position is that of the last event that it has dealt with.
#
# Output seen:
#   onMessage: 1 2 3 4 5, lastEventId 5
#   loop: 1 2 3 4 5, lastEventId 5
#   loop of 300 ms each: 1, lastEventId 5
#   connect() after a 204: 0 requests, closed
#   connect() straight after close(): 0 requests, closed
#   connect() a moment after close(): 1 requests, open
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent eventsource-client@1.2.0
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEventSource } from 'eventsource-client';

let requests = 0;
const five = [1, 2, 3, 4, 5].map((id) => `id: ${id}\ndata: ${id}\n\n`).join('');
const server = createServer((req, res) => {
  requests += 1;
  if (req.headers['last-event-id'] === '5') return res.writeHead(204).end();
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  if (req.url === '/endless') return res.write('data: hello\n\n');
  res.end(`retry: 20\n\n${five}`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const base = `http://127.0.0.1:${server.address().port}`;
const until = async (holds) => {
  while (!holds()) await sleep(20);
};

const lines = [];
const heard = [];
const told = createEventSource({ url: `${base}/five`, onMessage: ({ data }) => heard.push(data) });
await until(() => told.readyState === 'closed' && heard.length > 0);
lines.push(`onMessage: ${heard.join(' ')}, lastEventId ${told.lastEventId}`);
for (const [name, wait] of [
  ['loop', () => undefined],
  ['loop of 300 ms each', () => sleep(300)],
]) {
  const source = createEventSource(`${base}/five`);
  const taken = [];
  for await (const { data } of source) {
    taken.push(data);
    await wait();
  }
  lines.push(`${name}: ${taken.join(' ')}, lastEventId ${source.lastEventId}`);
}

async function connectAgain(name, source) {
  const before = requests;
  source.connect();
  await sleep(500);
  lines.push(`connect() ${name}: ${requests - before} requests, ${source.readyState}`);
}
await connectAgain('after a 204', told);
const endless = createEventSource(`${base}/endless`);
await until(() => endless.readyState === 'open');
endless.close();
await connectAgain('straight after close()', endless);
await connectAgain('a moment after close()', endless);

console.log(lines.join('\n'));
const expected = [
  'onMessage: 1 2 3 4 5, lastEventId 5',
  'loop: 1 2 3 4 5, lastEventId 5',
  'loop of 300 ms each: 1, lastEventId 5',
  'connect() after a 204: 0 requests, closed',
  'connect() straight after close(): 0 requests, closed',
  'connect() a moment after close(): 1 requests, open',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
