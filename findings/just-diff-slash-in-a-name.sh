#!/usr/bin/env bash
# just-diff 6.0.2 with just-diff-apply 5.5.0: a patch for a name with "/" changes another value, which has nothing to do
# with it.
#
# Guessed: with `jsonPatchPathConverter` the paths are those of JSON Patch, so "/" in a name is written "~1" and "~" is
# written "~0" (RFC 6901, 3).
# Seen: the names are joined with "/" as they are. The new count of "text/html" is a patch of "/text/html", which is the
# member "html" of "text": where both are there, the other one is changed, and no one is told. A name with "~1" in it is
# read as one with "/". just-diff-apply splits by "/" too, so even between the two the patch fails, or goes to the other
# place. Patches as lists of names, without the converter, are right. Media types, paths of an API and URLs are such
# names. fast-json-patch 3.1.1 escapes them. Here no name of a member comes from a user.
#
# Output seen:
#   patch: [{"op":"replace","path":"/text/html","value":2}]
#   by fast-json-patch: {"text/html":1,"text":{"html":2}}
#   by just-diff-apply: {"text/html":1,"text":{"html":2}}
#   alone: expected to find property /text/html in object [object Object]
#   as lists of names: {"text/html":2,"text":{"html":7}}
#   fast-json-patch writes: [{"op":"replace","path":"/text~1html","value":2}]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent just-diff@6.0.2 just-diff-apply@5.5.0 fast-json-patch@3.1.1
cat >run.mjs <<'JS'
import fastJsonPatch from 'fast-json-patch';
import { diff, jsonPatchPathConverter } from 'just-diff';
import { diffApply, jsonPatchPathConverter as namesOf } from 'just-diff-apply';

const before = () => ({ 'text/html': 1, text: { html: 7 } });
const after = { 'text/html': 2, text: { html: 7 } };
const patch = diff(before(), after, jsonPatchPathConverter);
const applied = (document, ...rest) => {
  try {
    diffApply(document, ...rest);
    return JSON.stringify(document);
  } catch (error) {
    return error.message;
  }
};
const alone = diff({ 'text/html': 1 }, { 'text/html': 2 }, jsonPatchPathConverter);
const lines = [
  `patch: ${JSON.stringify(patch)}`,
  `by fast-json-patch: ${JSON.stringify(fastJsonPatch.applyPatch(before(), patch).newDocument)}`,
  `by just-diff-apply: ${applied(before(), patch, namesOf)}`,
  `alone: ${applied({ 'text/html': 1 }, alone, namesOf)}`,
  `as lists of names: ${applied(before(), diff(before(), after))}`,
  `fast-json-patch writes: ${JSON.stringify(fastJsonPatch.compare(before(), after))}`,
];
console.log(lines.join('\n'));
const expected = [
  'patch: [{"op":"replace","path":"/text/html","value":2}]',
  'by fast-json-patch: {"text/html":1,"text":{"html":2}}',
  'by just-diff-apply: {"text/html":1,"text":{"html":2}}',
  'alone: expected to find property /text/html in object [object Object]',
  'as lists of names: {"text/html":2,"text":{"html":7}}',
  'fast-json-patch writes: [{"op":"replace","path":"/text~1html","value":2}]',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
