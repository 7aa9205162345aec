#!/usr/bin/env bash
# Node.js 24.11.1 (also 20): a worker of a cluster never hears `disconnect` of its process when the primary has died.
#
# Guessed: the channel to a primary that was killed ends, `process.on('disconnect', …)` in the worker is called, as in any process
# with a channel, and the worker can finish what it has in hand. Node's manual says that the event comes when the channel closes.
# Seen: a process made by `fork` of `child_process` hears it and lives on. A worker of `cluster` does not: a listener that cluster has
# registered before all others ends the process by `process.exit(0)`. What comes before is `disconnect` of `cluster.worker`,
# synchronously, and behind it `exit`. Only a listener put in front by `prependListener` is called.
# A worker that means to answer what is under way when its primary is gone, and listens as the manual says, just ends, with
# code 0. Here the listener is put in front.
#
# Output seen:
#   fork: disconnect of the process
#   cluster: disconnect in front, disconnect of the worker, exit 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.11.1
cat >primary.mjs <<'JS'
import { fork } from 'node:child_process';
import cluster from 'node:cluster';

cluster.setupPrimary({ exec: 'worker.mjs', args: ['cluster'] });
const child = process.argv[2] === 'cluster' ? cluster.fork() : fork('worker.mjs', ['fork']);
child.on('message', () => process.kill(process.pid, 'SIGKILL'));
JS
cat >worker.mjs <<'JS'
import cluster from 'node:cluster';
import { appendFileSync } from 'node:fs';

const tell = (what) => appendFileSync(`${process.argv[2]}.txt`, `${what}\n`);
process.on('disconnect', () => tell('disconnect of the process'));
process.on('exit', (code) => cluster.isWorker && tell(`exit ${code}`));
cluster.worker?.on('disconnect', () => tell('disconnect of the worker'));
if (cluster.isWorker) process.prependListener('disconnect', () => tell('disconnect in front'));
setTimeout(() => process.exit(), 3000);
process.send('ready');
JS
cat >run.mjs <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

const lines = [];
for (const kind of ['fork', 'cluster']) {
  await once(spawn(process.execPath, ['primary.mjs', kind], { stdio: 'ignore' }), 'exit');
  await wait(2000);
  lines.push(`${kind}: ${readFileSync(`${kind}.txt`, 'utf8').trim().replaceAll('\n', ', ')}`);
}
console.log(lines.join('\n'));
const expected = [
  'fork: disconnect of the process',
  'cluster: disconnect in front, disconnect of the worker, exit 0',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
npx --no-install node --no-warnings run.mjs
