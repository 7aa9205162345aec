#!/usr/bin/env bash
# @socket.io/postgres-adapter 0.5.0 with socket.io 4.8.4, pg 8.23.1 and PostgreSQL 15.18: events arrive in another order than
# they were sent in, also at clients of the node that sends them.
#
# Guessed: Socket.IO's documentation promises the order of events, NOTIFY keeps that of its messages, and to clients of its
# own node the server writes directly. At most a large event, which goes through a table, comes late on other nodes.
# Seen: each event waits for a query on whichever connection of the pool is free, and only then goes to the clients of its own
# node as well. So 100 events sent in one go arrive in disorder on both nodes. With one connection for the queries small
# events keep their order, but one of more than 8,000 bytes or with a Buffer takes two queries, so the next event overtakes it
# on both nodes. No error is seen. A long message is thus shown below its answer, and a client that keeps the position of the
# last event passes over the others. Here the position is given in the database, and a client is sent events in its order.
#
# Output seen:
#   pool of 10: 100 events arrive on its own node in disorder, on the other in disorder
#   pool of 2: 100 events arrive on its own node in order, on the other in order
#   pool of 2, large before small: own node small, large; other node small, large
#   pool of 2, Buffer before small: own node small, Buffer; other node small, Buffer
set -euo pipefail
bin=$(dirname "$(readlink -f "$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null | tail -1)")")
[ -x "$bin/initdb" ] || { echo 'install postgresql' >&2; exit 2; }
work=$(mktemp -d)
cd "$work"
port=$((20000 + RANDOM % 20000))
mkdir database
# PostgreSQL refuses to run as root.
as=()
if [ "$(id -u)" -eq 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --init-groups)
  chmod 711 . && chown postgres database
fi
"${as[@]}" "$bin/initdb" -D "$work/database" -U postgres -A trust -N >/dev/null
"${as[@]}" "$bin/postgres" -D "$work/database" -p $port -k "$work/database" \
  -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB 2>/dev/null &
server=$!
trap 'kill -INT $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  socket.io@4.8.4 socket.io-client@4.8.4 socket.io-adapter@2.5.8 @socket.io/postgres-adapter@0.5.0 pg@8.23.1
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/postgres-adapter';
import pg from 'pg';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
async function startNode(max) {
  const pool = new pg.Pool({ host: '127.0.0.1', port: Number(process.argv[2]), user: 'postgres', max });
  while (!(await pool.query('select 1').catch(() => undefined))) await pause();
  await pool.query(
    'create table if not exists socket_io_attachments (id bigserial unique, created_at timestamptz default now(), payload bytea)',
  );
  const http = createServer();
  // The adapter says nothing of errors unless it is asked.
  const server = new Server(http, { adapter: createAdapter(pool, { errorHandler: fail }) });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const client = io(`http://127.0.0.1:${http.address().port}`, { forceNew: true });
  const received = [];
  client.on('event', (name) => received.push(name));
  await once(client, 'connect');
  return { server, received };
}
function fail(error) {
  console.error(error);
  process.exit(1);
}
async function startTwo(max) {
  const nodes = [await startNode(max), await startNode(max)];
  // Until each hears the other.
  while (nodes.some(({ received }) => !received.includes('ready'))) {
    for (const { server } of nodes) server.emit('event', 'ready');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return async (events) => {
    for (const { received } of nodes) received.length = 0;
    for (const event of events) nodes[0].server.emit('event', ...event);
    while (nodes.some(({ received }) => received.length < events.length)) await pause();
    return nodes.map(({ received }) => [...received]);
  };
}
const numbers = Array.from({ length: 100 }, (_, index) => [index]);
const isSorted = (received) => received.every((value, index) => value === index);
const orderOf = (received) => (isSorted(received) ? 'in order' : 'in disorder');
const lines = [];
for (const max of [10, 2]) {
  const send = await startTwo(max);
  const [own, other] = (await send(numbers)).map(orderOf);
  lines.push(`pool of ${max}: 100 events arrive on its own node ${own}, on the other ${other}`);
  if (max === 10) continue;
  for (const [name, value] of [
    ['large', 'x'.repeat(9000)],
    ['Buffer', Buffer.from('x')],
  ]) {
    const [here, there] = (await send([[name, value], ['small']])).map((names) => names.join(', '));
    lines.push(`pool of ${max}, ${name} before small: own node ${here}; other node ${there}`);
  }
}
console.log(lines.join('\n'));
const expected = [
  'pool of 10: 100 events arrive on its own node in disorder, on the other in disorder',
  'pool of 2: 100 events arrive on its own node in order, on the other in order',
  'pool of 2, large before small: own node small, large; other node small, large',
  'pool of 2, Buffer before small: own node small, Buffer; other node small, Buffer',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
timeout 40 node run.mjs $port
