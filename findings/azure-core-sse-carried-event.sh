#!/usr/bin/env bash
# @azure/core-sse 2.4.0 (also 2.3.0): an event that has no data gives its name to the next message, and empty lines at
# the start of a message are lost.
#
# Guessed: it reads a stream as EventSource does. A block without `data` is no message and leaves nothing behind but its
# id (HTML standard, 9.2.6); each `data` line is a line of the message, empty or not.
# Seen: the blank line that ends a block without data does not end anything. `event: ping` as a heartbeat, which needs
# no data, turns the next message into a ping; of two such blocks the last name counts. Its id stays too, which is
# right. A first line that is empty is dropped: a text that starts with a line break, as a Markdown answer may, starts
# one line later. `data` without a colon, which is an empty line for the standard, is not seen at all, and an `event`
# line without a value does not clear the name. eventsource-parser 3.1.1 reads all of them by the standard.
# Here heartbeats are comments, which have no name.
#
# Output seen:
#   heartbeat by name: ping "hello", not message "hello"
#   empty first line: message "- a", not message "\n- a"
#   data without a colon: nothing, not message "\n"
#   name without a value: note "hello", not message "hello"
#   two blocks: message "hello" message "again", as the standard says
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @azure/core-sse@2.4.0 eventsource-parser@3.1.1
cat >run.mjs <<'JS'
import { createSseStream } from '@azure/core-sse';
import { createParser } from 'eventsource-parser';

const told = (messages) =>
  messages.map(({ event, data }) => `${event || 'message'} ${JSON.stringify(data)}`).join(' ') || 'nothing';

const lines = [];
for (const [name, text] of [
  ['heartbeat by name', 'event: ping\n\ndata: hello\n\n'],
  ['empty first line', 'data:\ndata: - a\n\n'],
  ['data without a colon', 'data\ndata\n\n'],
  ['name without a value', 'event: note\nevent\ndata: hello\n\n'],
  ['two blocks', 'data: hello\n\ndata: again\n\n'],
]) {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
  const seen = [];
  for await (const message of createSseStream(body)) seen.push(message);
  const right = [];
  createParser({ onEvent: (message) => right.push(message) }).feed(text);
  lines.push(`${name}: ${told(seen)}, ${told(seen) === told(right) ? 'as the standard says' : `not ${told(right)}`}`);
}
console.log(lines.join('\n'));
const expected = [
  'heartbeat by name: ping "hello", not message "hello"',
  String.raw`empty first line: message "- a", not message "\n- a"`,
  String.raw`data without a colon: nothing, not message "\n"`,
  'name without a value: note "hello", not message "hello"',
  'two blocks: message "hello" message "again", as the standard says',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
