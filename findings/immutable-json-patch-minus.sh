#!/usr/bin/env bash
# immutable-json-patch 6.0.3 (also jsondiffpatch 0.7.7): a member of an object with the name "-" cannot be patched; what is
# written to it goes to "undefined".
#
# Guessed: "-" stands for the place behind the last item where a pointer leads into an array (RFC 6901, 4), as in
# `add /posts/-`. In an object it is a name like any other, as numbers are.
# Seen: in the last place of a path it is never a name. `add` makes a member "undefined", `replace` and `remove` change
# nothing and throw nothing, `test` says that the path "/counts/undefined" was not found, and `move` from "+" to "-" takes the
# "+" away and leaves "-" as it was. As `from` of a `copy` it is right. What `revertJSONPatch` gives for these has
# "/counts/undefined" too. jsondiffpatch writes such a patch itself and refuses to apply it. fast-json-patch 3.1.1 and
# rfc6902 5.4.0 do what the RFC says.
# Reactions counted as "+" and "-", signs of a vote, or a table with "-" for "none" are thus saved by one of the two only, and
# the other shows up under a name that nobody has written. Here the names of members are those of a schema.
#
# Output seen:
#   replace: {"+":3,"-":1}, not {"+":3,"-":2}
#   add: {"+":3,"-":1,"undefined":2}, not {"+":3,"-":2}
#   remove: {"+":3,"-":1}, not {"+":3}
#   move: {"-":1,"undefined":3}, not {"-":3}
#   copy: {"+":3,"-":1,"x":1}, as the others
#   test: Test failed: path not found (path: "/counts/undefined")
#   jsondiffpatch: JSONPatch 'add' with '-' requires array target
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  immutable-json-patch@6.0.3 jsondiffpatch@0.7.7 fast-json-patch@3.1.1 rfc6902@5.4.0
cat >run.mjs <<'JS'
import fastJsonPatch from 'fast-json-patch';
import { immutableJSONPatch } from 'immutable-json-patch';
import { diff } from 'jsondiffpatch';
import { format, patch } from 'jsondiffpatch/formatters/jsonpatch';
import { applyPatch } from 'rfc6902';

const counts = { '+': 3, '-': 1 };
const fresh = () => ({ counts: { ...counts } });
const text = (document) => JSON.stringify(document.counts);
const byOthers = (operation) => {
  const document = fresh();
  const [error] = applyPatch(document, [operation]);
  if (error) throw error;
  const other = text(fastJsonPatch.applyPatch(fresh(), [operation]).newDocument);
  if (other !== text(document)) throw new Error(`fast-json-patch: ${other}, rfc6902: ${text(document)}`);
  return other;
};
const lines = [];
for (const operation of [
  { op: 'replace', path: '/counts/-', value: 2 },
  { op: 'add', path: '/counts/-', value: 2 },
  { op: 'remove', path: '/counts/-' },
  { op: 'move', from: '/counts/+', path: '/counts/-' },
  { op: 'copy', from: '/counts/-', path: '/counts/x' },
]) {
  const seen = text(immutableJSONPatch(fresh(), [operation]));
  const right = byOthers(operation);
  lines.push(`${operation.op}: ${seen}, ${seen === right ? 'as the others' : `not ${right}`}`);
}
function message(act) {
  try {
    act();
    return 'nothing';
  } catch (error) {
    return error.message;
  }
}
const test = { op: 'test', path: '/counts/-', value: 1 };
byOthers(test);
lines.push(`test: ${message(() => immutableJSONPatch(fresh(), [test]))}`);
const written = format(diff({ counts: { '+': 3 } }, { counts }));
lines.push(`jsondiffpatch: ${message(() => patch({ counts: { '+': 3 } }, written))}`);

console.log(lines.join('\n'));
const expected = [
  'replace: {"+":3,"-":1}, not {"+":3,"-":2}',
  'add: {"+":3,"-":1,"undefined":2}, not {"+":3,"-":2}',
  'remove: {"+":3,"-":1}, not {"+":3}',
  'move: {"-":1,"undefined":3}, not {"-":3}',
  'copy: {"+":3,"-":1,"x":1}, as the others',
  'test: Test failed: path not found (path: "/counts/undefined")',
  `jsondiffpatch: JSONPatch 'add' with '-' requires array target`,
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
