#!/usr/bin/env bash
# json-merge-patch 1.0.2: a member with the name "constructor" or "prototype" ends the patch. What stands behind it in the
# same object is not applied, and no one is told.
#
# Guessed: for fear of prototype pollution such a member is passed over, or refused with an error; the others are applied.
# Seen: what stands before it is applied, what stands behind it is not, be it a new value or a removal. So the result depends
# on the order of the members, which has no meaning in JSON. In a nested object the rest of that object alone is lost. Within
# an array, which a merge patch replaces as a whole, both names are kept. `generate` of the same package writes such patches,
# and its `apply` then leaves the document as it was.
# A racing team is a constructor, and a first model is a prototype: a form that saves this field together with others is told
# that all is saved, and some of it is not. Here a change names its fields, and a schema knows them.
#
# Output seen:
#   behind: {"driver":"old","points":1}
#   before: {"driver":"new"}
#   nested: {"driver":"old","points":1,"car":{},"laps":3}
#   in an array: {"driver":"old","points":1,"teams":[{"constructor":"x","driver":"new"}]}
#   generated: {"constructor":"y","driver":"new"}
#   generated and applied: {"constructor":"x","driver":"old"}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent json-merge-patch@1.0.2
cat >run.cjs <<'JS'
const { apply, generate } = require('json-merge-patch');

const applied = (patch) => JSON.stringify(apply({ driver: 'old', points: 1 }, patch));
const [before, after] = [
  { constructor: 'x', driver: 'old' },
  { constructor: 'y', driver: 'new' },
];
const patch = generate(before, after);
const lines = [
  `behind: ${applied({ constructor: 'x', driver: 'new', points: null })}`,
  `before: ${applied({ driver: 'new', points: null, constructor: 'x' })}`,
  `nested: ${applied({ car: { prototype: true, doors: 2 }, laps: 3 })}`,
  `in an array: ${applied({ teams: [{ constructor: 'x', driver: 'new' }] })}`,
  `generated: ${JSON.stringify(patch)}`,
  `generated and applied: ${JSON.stringify(apply(before, patch))}`,
];
console.log(lines.join('\n'));
const expected = [
  'behind: {"driver":"old","points":1}',
  'before: {"driver":"new"}',
  'nested: {"driver":"old","points":1,"car":{},"laps":3}',
  'in an array: {"driver":"old","points":1,"teams":[{"constructor":"x","driver":"new"}]}',
  'generated: {"constructor":"y","driver":"new"}',
  'generated and applied: {"constructor":"x","driver":"old"}',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.cjs
