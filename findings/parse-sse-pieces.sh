#!/usr/bin/env bash
# parse-sse 0.1.0: what it reads out of a stream of Server-Sent Events depends on where the network cuts it, and a message that
# was cut off by the end of the connection is handed on as a whole one.
#
# Guessed: "spec-compliant", as its description says: pieces do not matter, and what no blank line has ended when the
# connection ends is thrown away.
# Seen: where lines end with CR LF and a piece ends between the two, the LF counts as a blank line, so one message of two lines
# is handed on as two. The end of the connection ends the message that was under way: half of a text is handed on
# with the type "message" and the id of its block, from which the next request would go on behind it. A message with empty
# data is none. undici's EventSource is right in each.
# A reader that resumes by the id has lost the other half for good. Here the lines of a stream end with LF alone.
#
# Output seen:
#   CR LF in one piece: parse-sse "a\nb" | undici "a\nb"
#   CR LF in two pieces: parse-sse "a", "b" | undici "a\nb"
#   cut off: parse-sse "whole" of 1, "ha" of 2 | undici "whole" of 1
#   empty data: parse-sse "a" | undici "", "a"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent parse-sse@0.1.0 undici@7.30.2
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { parseServerSentEvents } from 'parse-sse';
import { EventSource } from 'undici';

const streams = {
  'CR LF in one piece': ['data: a\r\ndata: b\r\n\r\n'],
  'CR LF in two pieces': ['data: a\r', '\ndata: b\r\n\r\n'],
  'cut off': ['id: 1\ndata: whole\n\nid: 2\ndata: ha'],
  'empty data': ['data:\n\ndata: a\n\n'],
};
const server = createServer(async ({ url }, res) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  for (const piece of streams[decodeURIComponent(url.slice(1))]) {
    res.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  res.end();
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

const told = ({ data, lastEventId }) => JSON.stringify(data) + (lastEventId ? ` of ${lastEventId}` : '');
const lines = [];
for (const name of Object.keys(streams)) {
  const url = `http://127.0.0.1:${server.address().port}/${encodeURIComponent(name)}`;
  const parsed = [];
  for await (const message of parseServerSentEvents(await fetch(url))) parsed.push(told(message));
  const heard = [];
  const source = new EventSource(url);
  source.onmessage = (message) => heard.push(told(message));
  await new Promise((resolve) => (source.onerror = resolve));
  source.close();
  lines.push(`${name}: parse-sse ${parsed.join(', ')} | undici ${heard.join(', ')}`);
}
console.log(lines.join('\n'));
const expected = [
  'CR LF in one piece: parse-sse "a\\nb" | undici "a\\nb"',
  'CR LF in two pieces: parse-sse "a", "b" | undici "a\\nb"',
  'cut off: parse-sse "whole" of 1, "ha" of 2 | undici "whole" of 1',
  'empty data: parse-sse "a" | undici "", "a"',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node --no-warnings run.mjs
