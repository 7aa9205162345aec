#!/usr/bin/env bash
# lru-cache 11.5.3 with `ttlAutopurge`: each value that is kept for more than 24.8 days sets a timer a thousand times a
# second for as long as it is there.
#
# Guessed: one timer for each value, or one for all, that comes when the first value ends. A `ttl` of 30 days is a
# number like any other.
# Seen: Node's timers hold 2 ** 31 - 1 milliseconds and make one millisecond of more. The timer finds that the value has
# its month to go and is set anew, with the same number. Nothing is wrong to be seen: the value is there, nothing ends
# too early, and the process is no longer idle. Some thousand values keep a processor busy. Node.js warns once, with the
# number and no name. 24 days are one timer. @isaacs/ttlcache 2.1.5, by the same author, sets one timer. expiry-map
# 2.0.0 drops the value at once, and memoize 10.2.0 refuses the number.
#
# Output seen:
#   lru-cache, 24 days: 0 timers in a second of idling, value kept
#   lru-cache, 30 days: hundreds of timers in a second of idling, value kept
#   @isaacs/ttlcache, 30 days: 0 timers in a second of idling, value kept
#   expiry-map, 30 days: 0 timers in a second of idling, value lost
#   memoize, 30 days: The `maxAge` option cannot exceed 2147483647.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent lru-cache@11.5.3 @isaacs/ttlcache@2.1.5 expiry-map@2.0.0 memoize@10.2.0
cat >run.mjs <<'JS'
import { TTLCache } from '@isaacs/ttlcache';
import ExpiryMap from 'expiry-map';
import { LRUCache } from 'lru-cache';
import memoize from 'memoize';

const day = 86_400_000;
let timers = 0;
const setTimer = globalThis.setTimeout;
globalThis.setTimeout = (...args) => {
  timers += 1;
  return setTimer(...args);
};
const lines = [];
async function idle(name, cache) {
  cache.set('post', 'value');
  timers = 0;
  await new Promise((resolve) => setTimer(resolve, 1000));
  const told = timers >= 200 ? 'hundreds of' : timers;
  const value = cache.get('post') === 'value' ? 'kept' : 'lost';
  lines.push(`${name}: ${told} timers in a second of idling, value ${value}`);
  cache.clear();
}
await idle('lru-cache, 24 days', new LRUCache({ max: 10, ttl: 24 * day, ttlAutopurge: true }));
await idle('lru-cache, 30 days', new LRUCache({ max: 10, ttl: 30 * day, ttlAutopurge: true }));
await idle('@isaacs/ttlcache, 30 days', new TTLCache({ ttl: 30 * day }));
await idle('expiry-map, 30 days', new ExpiryMap(30 * day));
try {
  memoize(() => 'value', { maxAge: 30 * day })();
  lines.push('memoize, 30 days: taken');
} catch (error) {
  lines.push(`memoize, 30 days: ${error.message}`);
}
console.log(lines.join('\n'));
const expected = [
  'lru-cache, 24 days: 0 timers in a second of idling, value kept',
  'lru-cache, 30 days: hundreds of timers in a second of idling, value kept',
  '@isaacs/ttlcache, 30 days: 0 timers in a second of idling, value kept',
  'expiry-map, 30 days: 0 timers in a second of idling, value lost',
  'memoize, 30 days: The `maxAge` option cannot exceed 2147483647.',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
NODE_NO_WARNINGS=1 node run.mjs
