#!/usr/bin/env bash
# jsonwebtoken 9.0.3: a secret that is a text costs forty times as much as the same secret as a key object, with Node 20.
#
# Guessed: a text is made into a key for each call, which takes some microseconds more.
# Seen: with each call, to verify and to sign, the library first tries to read the secret as a PEM and catches the error. With
# Node 20 (OpenSSL 3.0) that failure takes 0.9 ms of processor time, where all else takes 0.02 ms; with Node 24 (OpenSSL
# 3.5) it takes 0.06 ms. Buffers cost the same as texts.
# A service that caches verified tokens does not see it while it is measured with few users. It does when all users come back
# at once, each with a token of its own: of the processor time of 15,000 handshakes, half went into this. Here the
# secret is a key object.
#
# Output seen (the times differ):
#   20.20.2 verify: text 894 us, buffer 878 us, key object 19 us
#   20.20.2 sign: text 856 us, buffer 872 us, key object 22 us
#   24.21.0 verify: text 74 us, buffer 73 us, key object 19 us
#   24.21.0 sign: text 66 us, buffer 87 us, key object 16 us
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent jsonwebtoken@9.0.3 node20@npm:node@20.20.2 node24@npm:node@24.21.0
cat >run.cjs <<'JS'
const { createSecretKey } = require('node:crypto');
const jwt = require('jsonwebtoken');

const text = 'a secret of more than thirty-two characters';
const secrets = { text, buffer: Buffer.from(text), 'key object': createSecretKey(Buffer.from(text)) };
const token = jwt.sign({ sub: '1' }, text, { algorithm: 'HS256' });
const uses = {
  verify: (secret) => jwt.verify(token, secret, { algorithms: ['HS256'] }),
  sign: (secret) => jwt.sign({ sub: '1' }, secret, { algorithm: 'HS256' }),
};
const CALLS = 1000;

function cost(use, secret) {
  for (let call = 0; call < CALLS / 5; call += 1) use(secret);
  const before = process.cpuUsage();
  for (let call = 0; call < CALLS; call += 1) use(secret);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}

const least = process.versions.node.startsWith('20.') ? 10 : 1.5;
for (const [name, use] of Object.entries(uses)) {
  const costs = Object.entries(secrets).map(([what, secret]) => [what, cost(use, secret)]);
  const told = costs.map(([what, microseconds]) => `${what} ${Math.round(microseconds)} us`);
  console.log(`${process.versions.node} ${name}: ${told.join(', ')}`);
  const [[, ofText], , [, ofKey]] = costs;
  if (ofText < least * ofKey) process.exitCode = 1;
}
JS
for version in 20 24; do "node_modules/node$version/bin/node" run.cjs; done
