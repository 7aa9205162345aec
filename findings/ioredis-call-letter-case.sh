#!/usr/bin/env bash
# ioredis 6.0.0 with Redis 7.0.15: `call()` runs a command in any letter case, but gives another answer for capital letters,
# and forgets a SELECT that was written so.
#
# Guessed: Redis's command names have no letter case, so `call('HGETALL', …)` does what `call('hgetall', …)` does; at most
# the form of an answer of `call()` differs from that of the method `hgetall()`.
# Seen: the answers of `call('hgetall')` are those of the method; with capital letters, as Redis's documentation writes them,
# HGETALL is a flat array instead of an object, XREAD a flat array instead of pairs, and ZRANGE … WITHSCORES gives pairs over
# RESP3 (ioredis 6's default) but a flat array over RESP2. An object as the fields of HSET is an error.
# A key prefix works in both. Worst: after `call('SELECT', '3')` a connection that is made anew goes on in database 0, with no
# error; after `call('select', '3')` it is in database 3 again. `pipeline().call()` and `multi().call()` do the same.
# It matters to whoever uses `call()` for commands that a library has no method for, and copies their names from a manual.
#
# Output seen:
#   hgetall {"f":"1"} | HGETALL ["f","1"]
#   zrange ["a","1.5"] | ZRANGE [["a","1.5"]]
#   zrange over RESP2 ["a","1.5"] | ZRANGE over RESP2 ["a","1.5"]
#   xread [["s",[["1-1",["k","v"]]]]] | XREAD ["s",[["1-1",["k","v"]]]]
#   hset with an object 1 | HSET with an object ERR wrong number of arguments for 'hset' command
#   after select 3 and a new connection: db=3 | after SELECT 3 and a new connection: db=0
set -euo pipefail
command -v redis-server >/dev/null || { echo 'install redis-server' >&2; exit 2; }
work=$(mktemp -d)
cd "$work"
port=$((20000 + RANDOM % 20000))
redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >/dev/null &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm init -y >/dev/null
npm install --no-audit --no-fund --silent ioredis@6.0.0
cat >run.mjs <<'JS'
import { Redis } from 'ioredis';

const port = Number(process.argv[2]);
const redis = new Redis(port);
const resp2 = new Redis({ port, protocol: 2 });
const prepare = redis.pipeline().hset('h', 'f', '1').zadd('z', 1.5, 'a').xadd('s', '1-1', 'k', 'v');
for (const [error] of await prepare.exec()) if (error) throw error;

const told = async (promise) => promise.then(JSON.stringify, (error) => error.message);
const lines = [];
async function compare(label, ask) {
  const [plain, capitals] = [await told(ask((name) => name)), await told(ask((name) => name.toUpperCase()))];
  const [name, ...rest] = label.split(' ');
  const after = rest.map((word) => ` ${word}`).join('');
  lines.push(`${name}${after} ${plain} | ${name.toUpperCase()}${after} ${capitals}`);
}
await compare('hgetall', (as) => redis.call(as('hgetall'), 'h'));
await compare('zrange', (as) => redis.call(as('zrange'), 'z', 0, -1, 'WITHSCORES'));
await compare('zrange over RESP2', (as) => resp2.call(as('zrange'), 'z', 0, -1, 'WITHSCORES'));
await compare('xread', (as) => redis.call(as('xread'), 'STREAMS', 's', '0'));
await compare('hset with an object', (as) => redis.call(as('hset'), 'new', { x: 1 }));

async function databaseAfter(name) {
  const client = new Redis({ port, retryStrategy: () => 20 });
  await client.call(name, '3');
  const id = await client.client('ID');
  const again = new Promise((resolve) => client.once('close', () => client.once('ready', resolve)));
  await redis.client('KILL', 'ID', id);
  await again;
  const [database] = /\bdb=\d+/.exec(await client.client('INFO'));
  client.disconnect();
  return `after ${name} 3 and a new connection: ${database}`;
}
lines.push(`${await databaseAfter('select')} | ${await databaseAfter('SELECT')}`);
console.log(lines.join('\n'));
redis.disconnect();
resp2.disconnect();
const expected = [
  'hgetall {"f":"1"} | HGETALL ["f","1"]',
  'zrange ["a","1.5"] | ZRANGE [["a","1.5"]]',
  'zrange over RESP2 ["a","1.5"] | ZRANGE over RESP2 ["a","1.5"]',
  'xread [["s",[["1-1",["k","v"]]]]] | XREAD ["s",[["1-1",["k","v"]]]]',
  `hset with an object 1 | HSET with an object ERR wrong number of arguments for 'hset' command`,
  'after select 3 and a new connection: db=3 | after SELECT 3 and a new connection: db=0',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs $port
