#!/usr/bin/env bash
# @microsoft/fetch-event-source 2.0.1 hands on messages that nobody sent: each blank line that ends nothing is one, with empty data.
#
# Guessed: a block without `data` is no message, as the HTML standard says and EventSource does; heartbeats, which servers
# send as comments, are passed over.
# Seen: a comment with a blank line behind it, which is how most servers write a heartbeat, calls `onmessage` with data "",
# and so do a second blank line between two events, an `id` by itself, with its id, and an `event` without data, with its
# name. Two lines `data` of which the last is empty lose the line break between them. A comment without a blank line is
# passed over, so the form of the heartbeat decides. undici's EventSource hands on "a" and "b" alone.
# `JSON.parse(message.data)`, as one writes it, thus throws at the first heartbeat, which the library takes for a broken
# connection: it connects again every second, and nothing says why. Here a heartbeat is a comment without a blank line, and
# whatever ends with one has data.
#
# Output seen:
#   fetch-event-source: "a" of 1, "" of -, "" of 2, "" named note, "" of -, "b" of 3, "line" of -
#   undici: "a", "b", "line\n"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @microsoft/fetch-event-source@2.0.1 undici@7.30.2
cat >run.cjs <<'JS'
const { createServer } = require('node:http');
const { once } = require('node:events');
const { EventSource } = require('undici');
// What the library looks for in a browser.
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
globalThis.window = { fetch, setTimeout, clearTimeout };
const { fetchEventSource } = require('@microsoft/fetch-event-source');

const stream = [
  'id: 1\ndata: a\n\n',
  ': heartbeat\n\n',
  'id: 2\n\n',
  'event: note\n\n',
  '\n',
  ': heartbeat\n',
  'id: 3\ndata: b\n\n',
  'data: line\ndata\n\n',
].join('');

(async () => {
  const server = createServer((_, res) => res.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  const heard = [];
  await fetchEventSource(url, {
    openWhenHidden: true,
    onmessage: ({ data, id, event }) => heard.push(`${JSON.stringify(data)} ${event ? `named ${event}` : `of ${id || '-'}`}`),
  });
  const ofUndici = [];
  const source = new EventSource(url);
  source.onmessage = ({ data }) => ofUndici.push(JSON.stringify(data));
  await new Promise((resolve) => (source.onerror = resolve));
  source.close();
  const lines = [`fetch-event-source: ${heard.join(', ')}`, `undici: ${ofUndici.join(', ')}`];
  console.log(lines.join('\n'));
  const expected = [
    'fetch-event-source: "a" of 1, "" of -, "" of 2, "" named note, "" of -, "b" of 3, "line" of -',
    'undici: "a", "b", "line\\n"',
  ];
  process.exit(lines.join() === expected.join() ? 0 : 1);
})();
JS
node --no-warnings run.cjs
