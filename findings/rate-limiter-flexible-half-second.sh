#!/usr/bin/env bash
# rate-limiter-flexible 11.4.0 with Redis 7.0.15: a limit of less than a second never ends, and one and a half are one.
#
# Guessed: `duration` is a number of seconds in each store alike, or a fraction is refused.
# Seen: RateLimiterMemory keeps fractions. RateLimiterRedis rounds `duration` down, and 0 means there that a count never
# expires: with `duration: 0.5` each key has its points once, and is refused until it is deleted by hand, with `msBeforeNext`
# of -1, which as a `Retry-After` says "at once". 1.5 is a second. `block(key, 0.5)`, `set(key, points, 0.5)` and a
# `blockDuration` of 0.5 are worse: they answer that it is over in 500 ms, and never end.
# Redis itself can expire by milliseconds.
# A limit that was tried in memory, or runs in memory for want of Redis, thus locks people out as soon as Redis is there.
# Here durations are whole seconds.
#
# Output seen:
#   memory, 0.5 s: 1 used, 900 ms later accepted, told to wait 500 ms
#   redis, 0.5 s: 1 used, 900 ms later refused, told to wait -1 ms
#   redis, 0.5 s: 3 s later refused, the key expires never
#   memory, 1.5 s: 1200 ms later refused
#   redis, 1.5 s: 1200 ms later accepted
#   redis, blocked for 0.5 s: told to wait 500 ms, 900 ms later refused, the key expires never
set -euo pipefail
command -v redis-server >/dev/null || { echo 'install redis-server' >&2; exit 2; }
work=$(mktemp -d)
cd "$work"
port=$((20000 + RANDOM % 20000))
redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >/dev/null &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm init -y >/dev/null
npm install --no-audit --no-fund --silent rate-limiter-flexible@11.4.0 ioredis@6.0.0
cat >run.mjs <<'JS'
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';

const storeClient = new Redis(Number(process.argv[2]));
const inMemory = (duration) => new RateLimiterMemory({ points: 1, duration });
const inRedis = (duration) =>
  new RateLimiterRedis({ storeClient, keyPrefix: `for${duration}`, points: 1, duration });
// A refusal is the same kind of object as an answer, thrown.
async function consume(limiter, key = 'key') {
  try {
    return { word: 'accepted', ...(await limiter.consume(key)).toJSON() };
  } catch (refusal) {
    if (refusal instanceof Error) throw refusal;
    return { word: 'refused', ...refusal.toJSON() };
  }
}
const lines = [];
for (const [store, limiter] of [
  ['memory', inMemory(0.5)],
  ['redis', inRedis(0.5)],
]) {
  const { consumedPoints } = await consume(limiter);
  await sleep(900);
  const { word, msBeforeNext } = await consume(limiter);
  lines.push(`${store}, 0.5 s: ${consumedPoints} used, 900 ms later ${word}, told to wait ${msBeforeNext} ms`);
}
await sleep(3000);
const { word } = await consume(inRedis(0.5));
const expires = async (key) => ((await storeClient.pttl(key)) === -1 ? 'never' : 'some time');
lines.push(`redis, 0.5 s: 3 s later ${word}, the key expires ${await expires('for0.5:key')}`);
for (const [store, limiter] of [
  ['memory', inMemory(1.5)],
  ['redis', inRedis(1.5)],
]) {
  await consume(limiter);
  await sleep(1200);
  lines.push(`${store}, 1.5 s: 1200 ms later ${(await consume(limiter)).word}`);
}
const blocking = inRedis(10);
const { msBeforeNext } = await blocking.block('other', 0.5);
const blockExpires = await expires('for10:other');
await sleep(900);
const { word: later } = await consume(blocking, 'other');
lines.push(
  `redis, blocked for 0.5 s: told to wait ${msBeforeNext} ms, 900 ms later ${later}, the key expires ${blockExpires}`,
);
storeClient.disconnect();
console.log(lines.join('\n'));
const expected = [
  'memory, 0.5 s: 1 used, 900 ms later accepted, told to wait 500 ms',
  'redis, 0.5 s: 1 used, 900 ms later refused, told to wait -1 ms',
  'redis, 0.5 s: 3 s later refused, the key expires never',
  'memory, 1.5 s: 1200 ms later refused',
  'redis, 1.5 s: 1200 ms later accepted',
  'redis, blocked for 0.5 s: told to wait 500 ms, 900 ms later refused, the key expires never',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs $port
