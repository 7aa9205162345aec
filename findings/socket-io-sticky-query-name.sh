#!/usr/bin/env bash
# @socket.io/sticky 2.0.1 with socket.io 4.8.4: a query parameter of the application whose name ends in "sid" takes
# connections away from their worker.
#
# Guessed: the worker is found by the parameter `sid` of the request, so other parameters may have any name but this one.
# Seen: the text `sid=` is looked for anywhere in the head of the request, and the first one counts that has twenty letters,
# digits, "_" or "-" behind it. Socket.IO's client writes the parameters of the application first, so with `authsid` the
# session is looked for under that value, which no worker has, and each request goes to a worker as if it began a session:
# "Session ID unknown". A shorter value, and a UUID under another name, do no harm.
# One worker, or a test with "authsid=test", shows nothing. With UUIDs and two workers that take turns nobody can connect by
# long-polling; by the number of connections, the default, some can. Here the sessions of workers are found without this package.
#
# Output seen:
#   authsid=test: connected 6, Session ID unknown 0
#   auth=8a7c2f3e-8d55-4f4e-9c1f-3f6c1e6f0a11: connected 6, Session ID unknown 0
#   authsid=8a7c2f3e-8d55-4f4e-9c1f-3f6c1e6f0a11: connected 0, Session ID unknown 6
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent socket.io@4.8.4 socket.io-client@4.8.4 @socket.io/sticky@2.0.1
cat >run.cjs <<'JS'
const { fork } = require('node:child_process');
const cluster = require('node:cluster');
const { once } = require('node:events');
const { createServer } = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const UUID = '8a7c2f3e-8d55-4f4e-9c1f-3f6c1e6f0a11';
const expected = [
  'authsid=test: connected 6, Session ID unknown 0',
  `auth=${UUID}: connected 6, Session ID unknown 0`,
  `authsid=${UUID}: connected 0, Session ID unknown 6`,
];

function work() {
  const { setupWorker } = require('@socket.io/sticky');
  const { Server } = require('socket.io');
  setupWorker(new Server(createServer()));
  process.send('ready');
}

async function lead() {
  const { setupPrimary } = require('@socket.io/sticky');
  cluster.setupPrimary({ serialization: 'advanced' });
  const server = createServer();
  setupPrimary(server, { loadBalancingMethod: 'round-robin' });
  const workers = [cluster.fork(), cluster.fork()];
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = fork(__filename, ['client', server.address().port]);
  const [code] = await once(client, 'exit');
  for (const worker of workers) worker.kill();
  process.exit(code ?? 1);
}

async function connect(port) {
  const { io } = require('socket.io-client');
  const lines = [];
  for (const [name, value] of [
    ['authsid', 'test'],
    ['auth', UUID],
    ['authsid', UUID],
  ]) {
    const outcomes = [];
    for (let count = 0; count < 6; count += 1) {
      const socket = io(`http://127.0.0.1:${port}`, { forceNew: true, reconnection: false, query: { [name]: value } });
      outcomes.push(
        await new Promise((resolve) => {
          socket.once('connect', () => resolve('connected'));
          socket.once('connect_error', ({ context }) => resolve(JSON.parse(context.responseText).message));
        }),
      );
      socket.disconnect();
      await sleep(50);
    }
    const number = (outcome) => `${outcome} ${outcomes.filter((one) => one === outcome).length}`;
    lines.push(`${name}=${value}: ${number('connected')}, ${number('Session ID unknown')}`);
  }
  console.log(lines.join('\n'));
  process.exit(lines.join() === expected.join() ? 0 : 1);
}

if (cluster.isWorker) work();
else if (process.argv[2] === 'client') void connect(process.argv[3]);
else void lead();
JS
timeout 40 node run.cjs
