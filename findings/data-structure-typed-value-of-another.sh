#!/usr/bin/env bash
# data-structure-typed 2.6.2: after `delete` an AVLTree or BST gives the value of the removed key for another key.
#
# Guessed: `delete(20)` takes the key 20 and its value away, and `get(10)` gives what it gave before. All trees of the package
# are maps that are sorted by key, and differ in speed.
# Seen: to remove a node with two below it the next smaller key is moved to its place, but not the value of this key, which
# is lost; the value of the removed key stays there. Three `set` and one `delete` are enough, and `get`, the iterator and
# `entries` agree in it. Size and order are right, so that a set, or a map in which each value has its key in it and nobody
# compares, looks well. RedBlackTree, TreeMap and SkipList keep their values, and so does a tree made with `isMapMode:
# false`, which keeps them in its nodes: the default is affected.
# A table of points in which one leaves shows the wrong name for the next in rank. Removing a leaf, as a test with two keys
# does, shows nothing.
#
# Output seen:
#   AVLTree: 10 bob, 30 cyd; get(10) bob
#   BST: 10 bob, 30 cyd; get(10) bob
#   AVLTree, isMapMode false: 10 ann, 30 cyd; get(10) ann
#   RedBlackTree: 10 ann, 30 cyd; get(10) ann
#   TreeMap: 10 ann, 30 cyd; get(10) ann
#   SkipList: 10 ann, 30 cyd; get(10) ann
#   AVLTree after 394 of 1000 are deleted: 150 of 606 have the value of another
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent data-structure-typed@2.6.2
cat >run.mjs <<'JS'
import { AVLTree, BST, RedBlackTree, SkipList, TreeMap } from 'data-structure-typed';

const lines = [];
for (const [name, tree] of [
  ['AVLTree', new AVLTree()],
  ['BST', new BST()],
  ['AVLTree, isMapMode false', new AVLTree([], { isMapMode: false })],
  ['RedBlackTree', new RedBlackTree()],
  ['TreeMap', new TreeMap()],
  ['SkipList', new SkipList()],
]) {
  tree.set(20, 'bob');
  tree.set(10, 'ann');
  tree.set(30, 'cyd');
  tree.delete(20);
  lines.push(`${name}: ${[...tree.entries()].map((entry) => entry.join(' ')).join(', ')}; get(10) ${tree.get(10)}`);
}
const tree = new AVLTree();
const count = 1_000;
for (let key = 0; key < count; key++) tree.set(key, `value ${key}`);
let seed = 1;
for (let i = 0; i < count / 2; i++) {
  seed = (seed * 1103515245 + 12345) % 2 ** 31;
  tree.delete(Math.floor((seed / 2 ** 31) * count));
}
const wrong = [...tree.keys()].filter((key) => tree.get(key) !== `value ${key}`).length;
lines.push(
  `AVLTree after ${count - tree.size} of ${count} are deleted: ${wrong} of ${tree.size} have the value of another`,
);
console.log(lines.join('\n'));
const expected = [
  'AVLTree: 10 bob, 30 cyd; get(10) bob',
  'BST: 10 bob, 30 cyd; get(10) bob',
  'AVLTree, isMapMode false: 10 ann, 30 cyd; get(10) ann',
  'RedBlackTree: 10 ann, 30 cyd; get(10) ann',
  'TreeMap: 10 ann, 30 cyd; get(10) ann',
  'SkipList: 10 ann, 30 cyd; get(10) ann',
  'AVLTree after 394 of 1000 are deleted: 150 of 606 have the value of another',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
