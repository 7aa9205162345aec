#!/usr/bin/env bash
# prom-client 15.1.3: whether a count has a label "undefined" or no such label depends on which call came first.
#
# Guessed: a label whose value is undefined is left out, or is a series of its own with the text "undefined".
# Seen: a call with `{ node: undefined, code: 200 }` and one with `{ code: 200 }` count into one series, whose labels are
# those of the first of the two calls: `{node="undefined",code="200"}` or `{code="200"}`. Whichever it was, it stays so until
# the process ends. null is a series of its own, "null", and 200 and "200" are the same.
# A process that starts with another request than its neighbour thus exports the same count under other labels, so sums by
# label differ between nodes and jump at each restart. Here each call gives all labels as text.
#
# Output seen:
#   undefined first: requests{node="undefined",code="200"} 2
#   left out first: requests{code="200"} 2
#   null: requests{node="null",code="200"} 1 requests{code="200"} 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent prom-client@15.1.3
cat >run.mjs <<'JS'
import { Counter, Registry } from 'prom-client';

async function count(...calls) {
  const registry = new Registry();
  const counter = new Counter({
    name: 'requests',
    help: 'Requests',
    labelNames: ['node', 'code'],
    registers: [registry],
  });
  for (const labels of calls) counter.inc(labels);
  const lines = (await registry.metrics()).split('\n');
  return lines.filter((line) => line.startsWith('requests')).join(' ');
}
const lines = [
  `undefined first: ${await count({ node: undefined, code: 200 }, { code: '200' })}`,
  `left out first: ${await count({ code: '200' }, { node: undefined, code: 200 })}`,
  `null: ${await count({ node: null, code: 200 }, { code: 200 })}`,
];
console.log(lines.join('\n'));
const expected = [
  'undefined first: requests{node="undefined",code="200"} 2',
  'left out first: requests{code="200"} 2',
  'null: requests{node="null",code="200"} 1 requests{code="200"} 1',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
