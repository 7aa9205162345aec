#!/usr/bin/env bash
# jsondiffpatch 0.7.7: `unpatch` and `reverse` write the old value on another item of the list, if three new ones came above
# the one that was changed.
#
# Guessed: `unpatch(right, delta)` is what `left` was, and `patch(right, reverse(delta))` too, as the documentation says. With
# an `objectHash` items are known by their id, so it does not matter at which place they are.
# Seen: so it is with one or two new items. With three or more at the top, a change of the first item behind them is undone at
# the one below it, or, with five and one item below, behind the end, which makes the list longer. Nothing throws. Three
# new items in place of three removed ones do the same. An item further down is undone right until more new ones come above
# it. `patch` itself is always right, and removed items alone do no harm.
# So "undo", a client that takes back an edit which the server refused, or a history that is walked back by its deltas is
# right in each small example, and in a feed writes the likes of one post on another. Here events have the state after a
# change, and no differences.
#
# Output seen:
#   0 new: p7 has 1, p6 has 0
#   1 new: p7 has 1, p6 has 0
#   2 new: p7 has 1, p6 has 0
#   3 new: p7 has 2, p6 has 1
#   4 new: p7 has 2, p6 has 1
#   5 new: p7 has 2, p6 has 0, and 1 item more
#   3 new for 3 removed: p7 has 2, p6 has 1
#   3 removed: p7 has 1, p6 has 0
#   patch: all right; reverse: the same as unpatch
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent jsondiffpatch@0.7.7
cat >run.mjs <<'JS'
import { isDeepStrictEqual } from 'node:util';
import { create } from 'jsondiffpatch';

const differ = create({ objectHash: ({ id }) => id });
const copy = (value) => JSON.parse(JSON.stringify(value));
const posts = (prefix, count) => Array.from({ length: count }, (_, at) => ({ id: `${prefix}${at}`, likes: 0 }));
const lines = [];
let patched = true;
let reversed = true;

function undo(name, removed, added) {
  const left = [...posts('old', removed), { id: 'p7', likes: 1 }, { id: 'p6', likes: 0 }];
  const right = [...posts('new', added), { id: 'p7', likes: 2 }, { id: 'p6', likes: 0 }];
  const delta = differ.diff(left, right);
  patched &&= isDeepStrictEqual(differ.patch(copy(left), copy(delta)), right);
  const undone = differ.unpatch(copy(right), copy(delta));
  reversed &&= isDeepStrictEqual(differ.patch(copy(right), copy(differ.reverse(delta))), undone);
  const likes = (id) => undone.find((post) => post?.id === id)?.likes;
  const more = undone.length - left.length;
  lines.push(`${name}: p7 has ${likes('p7')}, p6 has ${likes('p6')}${more ? `, and ${more} item more` : ''}`);
}
for (const count of [0, 1, 2, 3, 4, 5]) undo(`${count} new`, 0, count);
undo('3 new for 3 removed', 3, 3);
undo('3 removed', 3, 0);
lines.push(`patch: ${patched ? 'all right' : 'wrong'}; reverse: ${reversed ? 'the same as' : 'other than'} unpatch`);

console.log(lines.join('\n'));
const expected = [
  '0 new: p7 has 1, p6 has 0',
  '1 new: p7 has 1, p6 has 0',
  '2 new: p7 has 1, p6 has 0',
  '3 new: p7 has 2, p6 has 1',
  '4 new: p7 has 2, p6 has 1',
  '5 new: p7 has 2, p6 has 0, and 1 item more',
  '3 new for 3 removed: p7 has 2, p6 has 1',
  '3 removed: p7 has 1, p6 has 0',
  'patch: all right; reverse: the same as unpatch',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
