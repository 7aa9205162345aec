#!/usr/bin/env bash
# cache-manager 7.2.9 with keyv 5.6.0, @keyv/redis 5.1.6 and Redis 7.0.15: with memory before Redis, `nonBlocking` never finds
# what only Redis has, and `wrap` keeps a value for up to twice its time.
#
# Guessed: with `nonBlocking`, `get` and `mget` "will return the first (fastest) value found" (its README), so memory answers if
# it has the value, and Redis otherwise. A value that `wrap` takes over from Redis into memory ends there when it ends in
# Redis; how long it has left is known, since `refreshThreshold` is compared with it.
# Seen: the first answer counts, not the first value. Memory always answers first, and "not there" is an answer: a value that
# another node has stored is never found, and after a restart nothing is. Redis is asked each time, and in vain. Without
# `nonBlocking` it is found. `wrap` does not care about the option.
# A value that has 300 of its 1,000 ms left in Redis gets 1,000 ms in memory, and is told 700 ms after it has ended in Redis;
# a node that asks at the wrong moment shows a count of a minute's age for two.
# Both show with a second node alone: the one that has loaded the value keeps it right. Here each node follows the log.
#
# Output seen:
#   nonBlocking: get not found, mget not found, wrap found
#   otherwise: get found, mget found, wrap found
#   before the end: node that loaded it 1, other node 1, Redis 1
#   after the end: node that loaded it not found, other node 1, Redis not found
set -euo pipefail
command -v redis-server >/dev/null || { echo 'install redis-server' >&2; exit 2; }
work=$(mktemp -d)
cd "$work"
port=$((20000 + RANDOM % 20000))
redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >/dev/null &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm init -y >/dev/null
npm install --no-audit --no-fund --silent cache-manager@7.2.9 keyv@5.6.0 @keyv/redis@5.1.6
cat >run.mjs <<'JS'
import { setTimeout as sleep } from 'node:timers/promises';
import KeyvRedis from '@keyv/redis';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';

const redis = () => new Keyv(new KeyvRedis(`redis://127.0.0.1:${process.argv[2]}`));
const node = (options) => createCache({ stores: [new Keyv(), redis()], ttl: 1000, ...options });
const told = (value) => value ?? 'not found';
const lines = [];

const store = redis();
await store.set('name', 'found');
for (const [name, nonBlocking] of [
  ['nonBlocking', true],
  ['otherwise', false],
]) {
  const cache = node({ nonBlocking });
  // Once, so that it is connected.
  await cache.get('name');
  await sleep(100);
  const [many] = await cache.mget(['name']);
  const one = await cache.get('name');
  lines.push(`${name}: get ${told(one)}, mget ${told(many)}, wrap ${await cache.wrap('name', () => 'loaded')}`);
}

let loads = 0;
const load = () => (loads += 1);
const first = node();
const second = node();
await first.wrap('count', load);
const start = Date.now();
await sleep(700);
await second.wrap('count', load);
const look = async (name) => {
  const values = [await first.get('count'), await second.get('count'), await store.get('count')].map(told);
  lines.push(`${name}: node that loaded it ${values[0]}, other node ${values[1]}, Redis ${values[2]}`);
};
await look('before the end');
await sleep(start + 1300 - Date.now());
await look('after the end');

console.log(lines.join('\n'));
const expected = [
  'nonBlocking: get not found, mget not found, wrap found',
  'otherwise: get found, mget found, wrap found',
  'before the end: node that loaded it 1, other node 1, Redis 1',
  'after the end: node that loaded it not found, other node 1, Redis not found',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs "$port"
