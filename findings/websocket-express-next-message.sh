#!/usr/bin/env bash
# websocket-express 4.0.1 with ws 8.23.0 and express 5.3.0: of messages that arrive together `nextMessage()` gives the first,
# and the others are gone.
#
# Guessed: `await ws.nextMessage()` once more "will return a promise which resolves with the next message received" (its README);
# what comes in between waits, or at least a handler that calls it again at once loses nothing.
# Seen: nothing waits. Messages that are read from the network in one piece are emitted one after the other before any `await`
# goes on, so the second finds nobody who listens. With 30 ms between them all arrive. `timeout` tells of it as if the client had
# said nothing, and without it the handler waits for ever. A text of a second that comes with the first is lost as well if
# the first is long and sent in pieces, since what completes it brings the next along.
# The README's example has one message. A client that sends its token and what it follows as soon as the connection is open
# loses the latter, mostly on a fast or a crowded network, and never where it waits for an answer. Here each message has a
# listener from the start.
#
# Output seen:
#   together: token, then Timed out waiting for message
#   30 ms apart: token, then follow, then like
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent websocket-express@4.0.1 ws@8.23.0 express@5.3.0
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { WebSocketExpress } from 'websocket-express';

const app = new WebSocketExpress();
app.ws('/', async (req, res) => {
  const ws = await res.accept();
  const got = [];
  try {
    while (got.length < 3) got.push(`${(await ws.nextMessage({ timeout: 1000 })).data}`);
  } catch (error) {
    got.push(error.message);
  }
  ws.send(got.join(', then '));
});
const server = app.createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');

const lines = [];
for (const [name, wait] of [
  ['together', 0],
  ['30 ms apart', 30],
]) {
  const client = new WebSocket(`ws://127.0.0.1:${server.address().port}/`);
  await once(client, 'open');
  const answered = once(client, 'message');
  for (const text of ['token', 'follow', 'like']) {
    client.send(text);
    if (wait) await sleep(wait);
  }
  const [answer] = await answered;
  lines.push(`${name}: ${answer}`);
}

console.log(lines.join('\n'));
const expected = ['together: token, then Timed out waiting for message', '30 ms apart: token, then follow, then like'];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
