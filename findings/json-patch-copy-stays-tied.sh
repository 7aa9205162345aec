#!/usr/bin/env bash
# json-p3 2.3.1 and json8-patch 1.0.6: after `copy` both places hold the same object, and a later operation of the patch
# on one changes the other too.
#
# Guessed: `copy` does what `add` with the copied value would do (RFC 6902, 4.5), so the two have nothing in common
# afterwards.
# Seen: both assign the object itself. "Take this item as a template and change its title" changes the template. It
# stays so when the patch is done: a second patch on the result changes both places. Copied into itself, a document
# becomes endless, and JSON.stringify throws. The value of an `add` is shared as well: what a later operation changes in
# the document changes in the patch that the caller holds, and a second document gets the changed value. A document that
# was saved as JSON in between is right, as are texts and numbers. fast-json-patch 3.1.1, rfc6902 5.4.0 and jsonpatch
# 3.1.0 copy.
# Here a change names its fields and their values.
#
# Output seen:
#   json-p3: {"a":{"title":"new"},"b":{"title":"new"}}, patch again: {"title":"new"}, into itself: TypeError
#   json8-patch: {"a":{"title":"new"},"b":{"title":"new"}}, patch again: {"title":"new"}, into itself: TypeError
#   fast-json-patch: {"a":{"title":"old"},"b":{"title":"new"}}, patch again: {"title":"old"}, into itself: {"a":1,"b":{"a":1}}
#   rfc6902: {"a":{"title":"old"},"b":{"title":"new"}}, patch again: {"title":"old"}, into itself: {"a":1,"b":{"a":1}}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent json-p3@2.3.1 json8-patch@1.0.6 fast-json-patch@3.1.1 rfc6902@5.4.0
cat >run.mjs <<'JS'
import fastJsonPatch from 'fast-json-patch';
import { JSONPatch } from 'json-p3';
import json8 from 'json8-patch';
import { applyPatch } from 'rfc6902';

const appliers = {
  'json-p3': (document, patch) => new JSONPatch(patch).apply(document),
  'json8-patch': (document, patch) => json8.apply(document, patch).doc,
  'fast-json-patch': (document, patch) => fastJsonPatch.applyPatch(document, patch).newDocument,
  rfc6902: (document, patch) => {
    applyPatch(document, patch);
    return document;
  },
};
const lines = Object.entries(appliers).map(([name, apply]) => {
  const copied = apply({ a: { title: 'old' } }, [
    { op: 'copy', from: '/a', path: '/b' },
    { op: 'replace', path: '/b/title', value: 'new' },
  ]);
  const patch = [
    { op: 'add', path: '/a', value: { title: 'old' } },
    { op: 'copy', from: '/a', path: '/b' },
    { op: 'replace', path: '/b/title', value: 'new' },
  ];
  apply({}, patch);
  let whole;
  try {
    whole = JSON.stringify(apply({ a: 1 }, [{ op: 'copy', from: '', path: '/b' }]));
  } catch (error) {
    whole = error.name;
  }
  return `${name}: ${JSON.stringify(copied)}, patch again: ${JSON.stringify(patch[0].value)}, into itself: ${whole}`;
});
console.log(lines.join('\n'));
const tied = '{"a":{"title":"new"},"b":{"title":"new"}}, patch again: {"title":"new"}, into itself: TypeError';
const right = '{"a":{"title":"old"},"b":{"title":"new"}}, patch again: {"title":"old"}, into itself: {"a":1,"b":{"a":1}}';
const expected = [
  `json-p3: ${tied}`,
  `json8-patch: ${tied}`,
  `fast-json-patch: ${right}`,
  `rfc6902: ${right}`,
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
