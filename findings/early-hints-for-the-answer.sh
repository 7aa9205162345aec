#!/usr/bin/env bash
# Node.js 20 with nginx 1.22.1, Varnish 7.1.1 and Python 3.11: after `writeEarlyHints` the answer itself is lost.
#
# Guessed: 103 is an interim answer. Who does not know it passes it over, as RFC 9110 (15.2) demands of each client, and reads
# the 200 behind it. HTTP/1.0 has no interim answers, and whoever asks by it gets none.
# Seen: nginx takes the 103 for the answer, and what follows for its body, which has no length. As nginx asks by HTTP/1.0,
# unless told otherwise, and Node sends the 103 all the same, the default is affected: the client gets the 200 as bytes out of
# that body, without its length, on a connection that stays open, so it reads the whole text and waits for more.
# With HTTP/1.1 and kept connections nothing comes until Node closes its idle connection, five seconds later.
# Varnish answers 503, and Python's urllib raises "HTTP Error 103". curl, HAProxy 2.6.12 and Node's own client are right.
# The method is there to be called before a slow query. It works at every desk, and each page hangs behind the proxy.
# Here nothing sends hints.
#
# Output seen:
#   by HTTP/1.0: 103, then 200
#   direct: 200 {"ok":1}, ended at once
#   nginx: 200 {"ok":1}, not ended within 3 s
#   nginx with HTTP/1.1: nothing within 3 s
#   haproxy: 200 {"ok":1}, ended at once
#   varnish: 503
#   python: HTTP Error 103: Early Hints
set -euo pipefail
PATH=$PATH:/usr/sbin
for program in nginx haproxy varnishd curl python3; do
  command -v $program >/dev/null || { echo "install $program" >&2; exit 2; }
done
work=$(mktemp -d)
chmod 755 "$work"
cd "$work"
port=$((20000 + RANDOM % 10000))
pids=()
trap 'kill "${pids[@]}" || true; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

cat >server.cjs <<'JS'
require('node:http')
  .createServer((req, res) => {
    if (req.url === '/hints') res.writeEarlyHints({ link: '</client.css>; rel=preload; as=style' });
    res.setHeader('Content-Type', 'application/json');
    setTimeout(() => res.end('{"ok":1}'), 50);
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
JS
node server.cjs $port & pids+=($!)

cat >nginx.conf <<CONF
daemon off; pid $work/nginx.pid; error_log $work/nginx.log;
events {}
http {
  access_log off; client_body_temp_path $work/a; proxy_temp_path $work/b;
  fastcgi_temp_path $work/c; uwsgi_temp_path $work/d; scgi_temp_path $work/e;
  server { listen 127.0.0.1:$((port + 1)); location / { proxy_pass http://127.0.0.1:$port; } }
  server {
    listen 127.0.0.1:$((port + 2));
    location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://127.0.0.1:$port; }
  }
}
CONF
nginx -c "$work/nginx.conf" 2>/dev/null & pids+=($!)

cat >haproxy.cfg <<CONF
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
listen proxy
  bind 127.0.0.1:$((port + 3))
  server node 127.0.0.1:$port
CONF
haproxy -f haproxy.cfg & pids+=($!)

mkdir varnish
varnishd -F -n "$work/varnish" -a 127.0.0.1:$((port + 4)) -b 127.0.0.1:$port -s malloc,20m >/dev/null 2>&1 & pids+=($!)

cat >client.cjs <<'JS'
const http = require('node:http');
const { port } = process.env;
const get = (to) =>
  new Promise((resolve) => {
    let status = '';
    let text = '';
    const timer = setTimeout(() => done(status ? 'not ended within 3 s' : 'nothing within 3 s'), 3_000);
    const done = (how) => {
      clearTimeout(timer);
      req.destroy();
      resolve(status && status !== 503 ? `${status} ${text}, ${how}` : status || how);
    };
    const req = http.get({ port: to, path: '/hints', agent: false, headers: { connection: 'keep-alive' } }, (res) => {
      status = res.statusCode;
      res.on('data', (piece) => (text += piece)).on('end', () => done('ended at once'));
    });
    req.on('error', (error) => done(error.code));
  });
(async () => {
  for (const [at, name] of ['direct', 'nginx', 'nginx with HTTP/1.1', 'haproxy', 'varnish'].entries()) {
    console.log(`${name}: ${await get(Number(port) + at)}`);
  }
})();
JS
cat >client.py <<'PY'
import os, urllib.request
try:
    print('python:', urllib.request.urlopen(f"http://127.0.0.1:{os.environ['port']}/hints").read())
except Exception as error:
    print('python:', error)
PY
for at in 0 1 2 3 4; do
  curl --silent --output /dev/null --retry 60 --retry-delay 1 --retry-all-errors --fail http://127.0.0.1:$((port + at))/
done
export port
told=$(
  exec 3<>/dev/tcp/127.0.0.1/$port
  printf 'GET /hints HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
  echo "by HTTP/1.0: $(tr -d '\r' <&3 | sed -n 's|^HTTP/1.1 \([0-9]*\).*|\1|p' | paste -sd, | sed 's/,/, then /')"
  node client.cjs
  python3 client.py
)
echo "$told"
[ "$told" = 'by HTTP/1.0: 103, then 200
direct: 200 {"ok":1}, ended at once
nginx: 200 {"ok":1}, not ended within 3 s
nginx with HTTP/1.1: nothing within 3 s
haproxy: 200 {"ok":1}, ended at once
varnish: 503
python: HTTP Error 103: Early Hints' ]
