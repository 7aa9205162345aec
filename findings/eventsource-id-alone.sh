#!/usr/bin/env bash
# eventsource 4.1.1: an id that comes without data does not move the position; in undici 7.30.2's EventSource it does.
#
# Guessed: both do what the HTML standard says: a block that has only an id calls no listener, but sets the last event ID,
# which the next request sends, and which later events without an id have.
# Seen: eventsource, made for Node, passes over such a block. After `id: 1` with data and `id: 7` without, it comes back with
# `Last-Event-ID: 1`; undici says 7. An event behind them that has no id of its own has an empty lastEventId in eventsource,
# and "7" in undici. Each time the id of a block holds for the data of the same block alone.
# eventsource-parser 3, on which eventsource stands, tells of no block without data.
# A server that moves quiet clients on with ids alone, as the standard allows, thus moves browsers and not this client,
# which is sent the same events again, or is refused since its position is too old. Here a position comes with data.
#
# Output seen:
#   eventsource: comes back with none, 1, 1; an event without an id has ""
#   undici: comes back with none, 7, 7; an event without an id has "7"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent eventsource@4.1.1 undici@7.30.2
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { EventSource as ByEventsource } from 'eventsource';
import { EventSource as ByUndici } from 'undici';

const positions = [];
const server = createServer((req, res) => {
  positions.push(req.headers['last-event-id'] ?? 'none');
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end('retry: 50\n\nid: 1\ndata: first\n\nid: 7\n\ndata: second\n\n');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const lines = [];
for (const [name, EventSource] of [
  ['eventsource', ByEventsource],
  ['undici', ByUndici],
]) {
  positions.length = 0;
  const source = new EventSource(`http://127.0.0.1:${server.address().port}/`);
  source.onerror = () => undefined;
  let id;
  source.onmessage = ({ data, lastEventId }) => {
    if (data === 'second') id = lastEventId;
  };
  while (positions.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
  source.close();
  lines.push(
    `${name}: comes back with ${positions.slice(0, 3).join(', ')}; an event without an id has ${JSON.stringify(id)}`,
  );
}
console.log(lines.join('\n'));
const expected = [
  'eventsource: comes back with none, 1, 1; an event without an id has ""',
  'undici: comes back with none, 7, 7; an event without an id has "7"',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node --no-warnings run.mjs
