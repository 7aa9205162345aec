#!/usr/bin/env bash
# HAProxy 2.6.12 with Server-Sent Events: each event is 200 ms late, and with `compression` it waits for the event after
# it.
#
# Guessed: a proxy that streams hands on what it gets when it gets it, compressed or not; gzip can be flushed after each
# piece.
# Seen: HAProxy tells the kernel that more will come (MSG_MORE), since the chunked answer is not at its end, and Linux
# then keeps a segment that is not full for 200 ms. Each event has this delay, be it the only one in a minute. `option
# http-no-delay` takes it away. It was made for "very rare" applications that misuse HTTP, and nothing on the way shows
# that it is missing, since all events arrive. With `compression algo gzip` the last bytes of an event stay in the
# compressor until the next event, also with that option and for events of any length. A stream that gets one event an
# hour shows it an hour late, or at the next heartbeat, which then waits itself. nginx 1.22.1 with `gzip on` and
# `proxy_buffering off` hands each event on at once, compressed. `deploy/haproxy.cfg` has no compression for this
# reason.
#
# Output seen:
#   haproxy: 200 ms late, 200 ms late, 200 ms late
#   haproxy, http-no-delay: at once, at once, at once
#   haproxy, http-no-delay, gzip: with the next one, with the next one, at the end
#   nginx, gzip: at once, at once, at once
set -euo pipefail
PATH=$PATH:/usr/sbin
for program in haproxy nginx node; do
  command -v $program >/dev/null || { echo "install $program" >&2; exit 2; }
done
work=$(mktemp -d)
chmod 755 "$work"
cd "$work"
port=$((20000 + RANDOM % 12000))
pids=()
trap 'kill "${pids[@]}" || true; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

cat >server.cjs <<'JS'
// Three events with a second between them.
require('node:http')
  .createServer((req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    res.flushHeaders();
    [500, 1500, 2500].forEach((ms) => setTimeout(() => res.write(`data: ${Date.now()}\n\n`), ms));
    setTimeout(() => res.end(), 3500);
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
JS
node server.cjs $port & pids+=($!)

haproxy_at() {
  cat >"$1.cfg" <<CONF
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
$2
listen web
  bind 127.0.0.1:$1
  server node 127.0.0.1:$port
CONF
  haproxy -db -f "$1.cfg" >/dev/null 2>&1 & pids+=($!)
}
haproxy_at $((port + 1)) ''
haproxy_at $((port + 2)) '  option http-no-delay'
haproxy_at $((port + 3)) '  option http-no-delay
  compression algo gzip
  compression type text/event-stream'

cat >nginx.conf <<CONF
daemon off; pid $work/nginx.pid; error_log $work/nginx.log;
events {}
http {
  access_log off; client_body_temp_path $work/a; proxy_temp_path $work/b;
  fastcgi_temp_path $work/c; uwsgi_temp_path $work/d; scgi_temp_path $work/e;
  gzip on; gzip_types text/event-stream; gzip_min_length 0; gzip_proxied any;
  server {
    listen 127.0.0.1:$((port + 4));
    location / { proxy_pass http://127.0.0.1:$port; proxy_buffering off; }
  }
}
CONF
nginx -c "$work/nginx.conf" 2>/dev/null & pids+=($!)

cat >run.mjs <<'JS'
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';

const port = Number(process.argv[2]);
async function open(at, gzip) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await new Promise((resolve, reject) => {
        const headers = gzip ? { 'Accept-Encoding': 'gzip' } : {};
        const hear = (res) => (res.statusCode === 200 ? resolve(res) : reject(new Error(`status ${res.statusCode}`)));
        http.get({ host: '127.0.0.1', port: port + at, headers }, hear).on('error', reject);
      });
    } catch (error) {
      if (tries === 50) throw error;
      await sleep(100);
    }
  }
}
function told(ms) {
  if (ms < 100) return 'at once';
  if (ms < 400) return '200 ms late';
  return 'later';
}
async function watch(name, at, gzip) {
  const res = await open(at, gzip);
  if ((res.headers['content-encoding'] === 'gzip') !== gzip) throw new Error(`${name}: ${res.headers['content-encoding']}`);
  const stream = gzip ? res.pipe(zlib.createGunzip({ flush: zlib.constants.Z_SYNC_FLUSH })) : res;
  let text = '';
  const events = [];
  for await (const piece of stream) {
    text += piece;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) events.push({ sent: Number(block.slice('data: '.length)), got: Date.now() });
  }
  const late = events.map(({ sent, got }, index) => {
    // The server sends one event each second, and ends its stream a second after the last one.
    if (got - sent < 800) return told(got - sent);
    return index === 2 ? 'at the end' : 'with the next one';
  });
  return `${name}: ${late.join(', ')}`;
}
const lines = await Promise.all([
  watch('haproxy', 1, false),
  watch('haproxy, http-no-delay', 2, false),
  watch('haproxy, http-no-delay, gzip', 3, true),
  watch('nginx, gzip', 4, true),
]);
console.log(lines.join('\n'));
const expected = [
  'haproxy: 200 ms late, 200 ms late, 200 ms late',
  'haproxy, http-no-delay: at once, at once, at once',
  'haproxy, http-no-delay, gzip: with the next one, with the next one, at the end',
  'nginx, gzip: at once, at once, at once',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs $port
