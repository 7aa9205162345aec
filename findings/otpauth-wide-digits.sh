#!/usr/bin/env bash
# otpauth 9.5.2: in Node, `validate` throws at a code of six characters that are no ASCII; its build for browsers says that the
# code is wrong.
#
# Guessed: a text that is no code of the moment is answered with null, like "949 55" or "abcdef".
# Seen: a text of another length is null, whatever is in it, and so are six ASCII characters. Six others, such as the digits
# that a Japanese or an Arabic keyboard writes, end in "RangeError: Input buffers must have the same byte length": the
# length that is compared first is that of the characters. The package's build for browsers gives null for the same text.
# A service that hands on what was typed thus answers a mistyped letter with "wrong code" and a wide digit with an error 500,
# and a test in a browser does not show it. Here a code has to look like one before it is tried.
#
# Output seen:
#   node: "949556" 0, "949557" null, "94955" null, "abcdef" null, "９４９５５６" RangeError, "٩٤٩٥٥٦" RangeError, "94955é" RangeError
#   browser: "949556" 0, "949557" null, "94955" null, "abcdef" null, "９４９５５６" null, "٩٤٩٥٥٦" null, "94955é" null
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent otpauth@9.5.2
cat >run.mjs <<'JS'
import * as node from 'otpauth';
import * as browser from './node_modules/otpauth/dist/otpauth.esm.js';

const typed = ['949556', '949557', '94955', 'abcdef', '９４９５５６', '٩٤٩٥٥٦', '94955é'];
const lines = Object.entries({ node, browser }).map(([name, { Secret, TOTP }]) => {
  const totp = new TOTP({ secret: Secret.fromBase32('JBSWY3DPEHPK3PXP') });
  const answers = typed.map((token) => {
    try {
      return `"${token}" ${totp.validate({ token, timestamp: 1e12 })}`;
    } catch (error) {
      return `"${token}" ${error.name}`;
    }
  });
  return `${name}: ${answers.join(', ')}`;
});
console.log(lines.join('\n'));
const expected = [
  'node: "949556" 0, "949557" null, "94955" null, "abcdef" null, "９４９５５６" RangeError, "٩٤٩٥٥٦" RangeError, "94955é" RangeError',
  'browser: "949556" 0, "949557" null, "94955" null, "abcdef" null, "９４９５５６" null, "٩٤٩٥٥٦" null, "94955é" null',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
