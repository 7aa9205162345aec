#!/usr/bin/env bash
# @automerge/automerge 3.5.0: a large number comes back as a BigInt, from 2 to the power of 63 on as another number.
#
# Guessed: a number of JavaScript is a number when it is read again, as in JSON. What does not fit is refused with an
# error, as `undefined` is.
# Seen: a positive whole number of 2 ** 53 - 1 or more is stored as a 64-bit integer and is a BigInt for each reader,
# the one that wrote it included: `count + 1` and `JSON.stringify(doc)` then throw a TypeError. From 2 ** 63 on each of
# them is 9223372036854775807, without an error: 1e300 is lost. The same number with a minus or with a fraction stays
# what it was, so the type depends on the value. `Number.MAX_SAFE_INTEGER`, often written for "no limit", is the
# smallest that changes.
# Here such a number is a text or stays below 2 ** 53. The upper end is known as
# https://github.com/automerge/automerge/issues/1222. Yjs 13.6.33 keeps all of them.
#
# Output seen:
#   4503599627370496: number 4503599627370496
#   9007199254740991: bigint 9007199254740991
#   -9007199254740991: number -9007199254740991
#   15000000000000000: bigint 15000000000000000
#   1e+300: bigint 9223372036854775807
#   -1e+300: number -1e+300
#   read again by the writer: bigint, plus one: TypeError, as JSON: TypeError
#   Yjs: number 1e+300
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @automerge/automerge@3.5.0 yjs@13.6.33
cat >run.mjs <<'JS'
import * as Automerge from '@automerge/automerge';
import * as Y from 'yjs';

const lines = [2 ** 52, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 15e15, 1e300, -1e300].map((number) => {
  const { value } = Automerge.load(Automerge.save(Automerge.from({ value: number })));
  return `${number}: ${typeof value} ${value}`;
});

const attempt = (act) => {
  try {
    return act();
  } catch (error) {
    return error.name;
  }
};
const doc = Automerge.from({ limit: Number.MAX_SAFE_INTEGER });
lines.push(
  `read again by the writer: ${typeof doc.limit}, plus one: ${attempt(() => doc.limit + 1)}, ` +
    `as JSON: ${attempt(() => JSON.stringify(doc))}`,
);
const [one, two] = [new Y.Doc(), new Y.Doc()];
one.getMap('m').set('value', 1e300);
Y.applyUpdate(two, Y.encodeStateAsUpdate(one));
lines.push(`Yjs: ${typeof two.getMap('m').get('value')} ${two.getMap('m').get('value')}`);

console.log(lines.join('\n'));
const expected = [
  '4503599627370496: number 4503599627370496',
  '9007199254740991: bigint 9007199254740991',
  '-9007199254740991: number -9007199254740991',
  '15000000000000000: bigint 15000000000000000',
  '1e+300: bigint 9223372036854775807',
  '-1e+300: number -1e+300',
  'read again by the writer: bigint, plus one: TypeError, as JSON: TypeError',
  'Yjs: number 1e+300',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
