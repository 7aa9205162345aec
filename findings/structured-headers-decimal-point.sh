#!/usr/bin/env bash
# structured-headers 2.1.0: a number that rounds to a whole one is written as "435.", which no parser of structured
# fields takes, its own neither.
#
# Guessed: a decimal is rounded to three digits, half to even, and has at least one digit behind the point (RFC 9651,
# 4.1.5): 1.0004 gives "1.0".
# Seen: the zeros are cut off and the point is left. 4.35 * 100 is 434.99999999999994 in JavaScript and becomes "435.";
# 0.0001 becomes "0.". RFC 9651 (4.2) has the reader drop the whole field for that, so a single weight or price takes
# the other members of its dictionary away. A number that is whole to begin with is written as an integer, and 1.25 is
# right, so tests with plain numbers pass. Halves are rounded away from zero where they are exact: 0.0625 becomes
# "0.063", not "0.062". structured-field-values 2.0.4 writes all of them as the RFC says. Here the numbers in such
# fields are whole.
#
# Output seen:
#   434.99999999999994: "435.", its own parser: refused; structured-field-values: "435.0"
#   0.0001: "0.", its own parser: refused; structured-field-values: "0.0"
#   -2.9999: "-3.", its own parser: refused; structured-field-values: "-3.0"
#   0.0625: "0.063", its own parser: 0.063; structured-field-values: "0.062"
#   1.25: "1.25", its own parser: 1.25; structured-field-values: "1.25"
#   dictionary: "load=435., limit=60", read by the other: refused
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent structured-headers@2.1.0 structured-field-values@2.0.4
cat >run.mjs <<'JS'
import * as other from 'structured-field-values';
import { parseItem, serializeDictionary, serializeItem } from 'structured-headers';

const attempt = (act) => {
  try {
    return act();
  } catch {
    return 'refused';
  }
};
const lines = [4.35 * 100, 0.0001, -2.9999, 0.0625, 1.25].map((number) => {
  const text = serializeItem(number);
  const right = other.encodeItem(new other.Item(number));
  return `${number}: "${text}", its own parser: ${attempt(() => parseItem(text)[0])}; structured-field-values: "${right}"`;
});
const field = serializeDictionary({ load: 4.35 * 100, limit: 60 });
lines.push(`dictionary: "${field}", read by the other: ${attempt(() => JSON.stringify(other.decodeDict(field)))}`);
console.log(lines.join('\n'));
const expected = [
  '434.99999999999994: "435.", its own parser: refused; structured-field-values: "435.0"',
  '0.0001: "0.", its own parser: refused; structured-field-values: "0.0"',
  '-2.9999: "-3.", its own parser: refused; structured-field-values: "-3.0"',
  '0.0625: "0.063", its own parser: 0.063; structured-field-values: "0.062"',
  '1.25: "1.25", its own parser: 1.25; structured-field-values: "1.25"',
  'dictionary: "load=435., limit=60", read by the other: refused',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
