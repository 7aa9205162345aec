#!/usr/bin/env bash
# got 14.6.6, axios-retry 4.5.0 with axios 1.21.1, undici 7.30.2: who is told to come back in a month comes back at
# once, three times.
#
# Guessed: a `Retry-After` of 30 days, or a date next year, is waited for, or the answer is handed on since nobody waits
# that long.
# Seen: the delay goes to `setTimeout`, which takes 2 ** 31 - 1 milliseconds (24.8 days) and makes one millisecond of
# more. So one day is waited for, and a month is none: all tries are made within a second, at a server that asked for
# peace, and the count of tries is used up. A date far ahead, as a service that is closed until spring gives, has the
# same effect. got does so by default; axios-retry needs a condition that takes 429, or a 503 as by default; undici's
# RetryAgent needs a `maxTimeout` above its 30 seconds. ky 1.14.3 waits, and got 16.1.0, which needs Node.js 22, asks
# once. A process that hangs for a month is no good either, so a limit of one's own belongs beside each of them. Here
# the pause of a webhook has an upper bound.
#
# Output seen:
#   got, a day: 1 request; 30 days: 4 requests; a date: 4 requests
#   axios-retry, a day: 1 request; 30 days: 4 requests; a date: 4 requests
#   undici, a day: 1 request; 30 days: 4 requests; a date: 4 requests
#   ky, a day: 1 request; 30 days: 1 request; a date: 1 request
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent got@14.6.6 axios@1.21.1 axios-retry@4.5.0 undici@7.30.2 ky@1.14.3
cat >run.mjs <<'JS'
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import axios from 'axios';
import axiosRetry from 'axios-retry';
import got from 'got';
import ky from 'ky';
import { Agent, fetch as undiciFetch, RetryAgent } from 'undici';

let requests = 0;
const server = createServer((req, res) => {
  requests += 1;
  const after = { day: '86400', month: '2592000', date: new Date(Date.now() + 90 * 86_400_000).toUTCString() };
  res.writeHead(429, { 'Retry-After': after[req.url.slice(1)] }).end();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${server.address().port}`;

const client = axios.create();
axiosRetry(client, { retries: 3, retryDelay: axiosRetry.exponentialDelay, retryCondition: () => true });
const dispatcher = new RetryAgent(new Agent(), { maxRetries: 3, statusCodes: [429], maxTimeout: Infinity });
const ask = {
  got: (url, signal) => got(url, { signal, retry: { limit: 3 } }),
  'axios-retry': (url, signal) => client.get(url, { signal }),
  undici: (url, signal) => undiciFetch(url, { signal, dispatcher }),
  ky: (url, signal) => ky.get(url, { signal, timeout: false, retry: { limit: 3 } }),
};
const lines = [];
for (const [name, get] of Object.entries(ask)) {
  const told = [];
  for (const [label, path] of [
    ['a day', 'day'],
    ['30 days', 'month'],
    ['a date', 'date'],
  ]) {
    requests = 0;
    const abort = new AbortController();
    const asked = get(`${base}/${path}`, abort.signal).catch(() => {});
    await Promise.race([asked, sleep(1500)]);
    told.push(`${label}: ${requests} request${requests === 1 ? '' : 's'}`);
    abort.abort();
  }
  lines.push(`${name}, ${told.join('; ')}`);
}
console.log(lines.join('\n'));
const expected = [
  'got, a day: 1 request; 30 days: 4 requests; a date: 4 requests',
  'axios-retry, a day: 1 request; 30 days: 4 requests; a date: 4 requests',
  'undici, a day: 1 request; 30 days: 4 requests; a date: 4 requests',
  'ky, a day: 1 request; 30 days: 1 request; a date: 1 request',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
NODE_NO_WARNINGS=1 node run.mjs
