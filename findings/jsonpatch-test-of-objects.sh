#!/usr/bin/env bash
# jsonpatch 3.1.0: the operation `test` never fails where both values are objects, whatever stands in them.
#
# Guessed: two objects are equal if they have the same members with equal values (RFC 6902, 4.6). Otherwise the whole
# patch is refused, so an author can say which state a change was made for.
# Seen: any object equals any other, an empty one too, and so does an item of an array that is an object. Text, numbers,
# null, and an object beside an array are compared as they should be, so a test with a plain value passes. The
# comparison asks `Object.hasOwnProperty(a, key)`, that is, whether the function Object has a member "[object Object]",
# and thus skips each member. Who guards an edit by the version of an object that it was made for overwrites the other's
# edit, and is told that it was applied. fast-json-patch 3.1.1 and rfc6902 5.4.0 refuse all.
# Here an edit names the version that it was made for in `If-Match`.
#
# Output seen:
#   {"rev":1} tested as {"rev":2}: applied
#   {"rev":1} tested as {}: applied
#   {"rev":1,"by":"a"} tested as {"rev":1}: applied
#   [{"rev":1}] tested as [{"rev":2}]: applied
#   {"a":{"rev":1}} tested as {"b":null}: applied
#   [1] tested as [2]: refused
#   {"rev":1} tested as []: refused
#   1 tested as 2: refused
#   the others: all refused
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent jsonpatch@3.1.0 fast-json-patch@3.1.1 rfc6902@5.4.0
cat >run.mjs <<'JS'
import fastJsonPatch from 'fast-json-patch';
import jsonpatch from 'jsonpatch';
import { applyPatch } from 'rfc6902';

const refused = (act) => {
  try {
    act();
    return false;
  } catch {
    return true;
  }
};
const cases = [
  [{ rev: 1 }, { rev: 2 }],
  [{ rev: 1 }, {}],
  [{ rev: 1, by: 'a' }, { rev: 1 }],
  [[{ rev: 1 }], [{ rev: 2 }]],
  [{ a: { rev: 1 } }, { b: null }],
  [[1], [2]],
  [{ rev: 1 }, []],
  [1, 2],
];
let others = 0;
const lines = cases.map(([there, tested]) => {
  const patch = [
    { op: 'test', path: '/post', value: tested },
    { op: 'add', path: '/edited', value: true },
  ];
  const fresh = () => ({ post: structuredClone(there) });
  if (applyPatch(fresh(), patch)[0] !== null) others += 1;
  if (refused(() => fastJsonPatch.applyPatch(fresh(), patch))) others += 1;
  const told = refused(() => jsonpatch.apply_patch(fresh(), patch)) ? 'refused' : 'applied';
  return `${JSON.stringify(there)} tested as ${JSON.stringify(tested)}: ${told}`;
});
lines.push(`the others: ${others === 2 * cases.length ? 'all refused' : others}`);
console.log(lines.join('\n'));
const expected = [
  '{"rev":1} tested as {"rev":2}: applied',
  '{"rev":1} tested as {}: applied',
  '{"rev":1,"by":"a"} tested as {"rev":1}: applied',
  '[{"rev":1}] tested as [{"rev":2}]: applied',
  '{"a":{"rev":1}} tested as {"b":null}: applied',
  '[1] tested as [2]: refused',
  '{"rev":1} tested as []: refused',
  '1 tested as 2: refused',
  'the others: all refused',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
