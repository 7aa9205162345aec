#!/usr/bin/env bash
# Node.js 24.11.1 (also 24.0.0, 25.9.0 and 26.10.0): `node:readline` ends a line at U+2028 and U+2029, where Node.js 22.23.3 does not.
#
# Guessed: a line ends where it did in Node.js 20 and 22: at LF, CR or both. So JSON lines (NDJSON) can be read with readline,
# as its documentation shows for files, since `JSON.stringify` writes every LF and CR of a text as an escape.
# Seen: from Node.js 24 on, the two separators end a line as well. `JSON.stringify` leaves them as they are, so a record whose
# text has one is cut in two, and neither part is JSON. `createInterface`, its events, and `readLines()` of a file do the same.
# People paste U+2028 from word processors and chat programs without seeing it: a reader that has worked for years on Node.js
# 22 stops at one such record on 24. Here the lines of an export have both as escapes.
#
# Output seen:
#   v22.23.3: 2 lines, 2 of them JSON; of the file 2
#   v24.11.1: 4 lines, 0 of them JSON; of the file 4
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >run.mjs <<'JS'
import { open, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

const records = [{ text: 'one\u2028paragraph' }, { text: 'another\u2029one' }];
const document = records.map((record) => `${JSON.stringify(record)}\n`).join('');
const linesOf = async (source) => {
  const lines = [];
  for await (const line of source) lines.push(line);
  return lines;
};
const isJson = (line) => {
  try {
    return JSON.parse(line) !== undefined;
  } catch {
    return false;
  }
};
const lines = await linesOf(createInterface({ input: Readable.from([Buffer.from(document)]) }));
await writeFile('records.ndjson', document);
const file = await open('records.ndjson');
const ofFile = await linesOf(file.readLines());
console.log(
  `${process.version}: ${lines.length} lines, ${lines.filter(isJson).length} of them JSON; of the file ${ofFile.length}`,
);
JS
seen=''
for version in 22.23.3 24.11.1; do
  # The package `node` has Node.js itself.
  npm install --no-audit --no-fund --silent --prefix "node-$version" "node@$version"
  seen+="$("node-$version/node_modules/node/bin/node" run.mjs)"$'\n'
done
printf '%s' "$seen"
[ "$seen" = 'v22.23.3: 2 lines, 2 of them JSON; of the file 2
v24.11.1: 4 lines, 0 of them JSON; of the file 4
' ]
