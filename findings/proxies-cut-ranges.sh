#!/usr/bin/env bash
# Apache 2.4.71, lighttpd 1.4.69 and Varnish 7.1.1 as proxies: a server that knows nothing of ranges gets answers 206 all the
# same, and a download that is resumed is put together from two different documents.
#
# Guessed: who answers a request with `Range` by 200 and the whole text is passed on so. A client that resumes a download sees
# the 200 and begins again or gives up, as curl does: "server doesn't seem to support byte ranges".
# Seen: so it is through nginx. The other three cut the wanted bytes out of the answer and make it a 206, for answers that
# are not cached and may not be (`no-store`) as well: Apache and Varnish where the length is known, also against the server's own
# `Accept-Ranges: none`; lighttpd where the server does not say this, also where the answer is streamed.
# An export that is written anew for each request has other bytes at the same place the next time. `curl --continue-at -`
# glues the two without a word. Here an export is streamed, and thus whole through Apache and Varnish; through lighttpd it may
# be cut.
#
# Output seen:
#   nginx: 200, streamed 200, with Accept-Ranges: none 200 and 200; resumed "111111"
#   apache: 206, streamed 200, with Accept-Ranges: none 206 and 200; resumed "111111222222"
#   lighttpd: 206, streamed 206, with Accept-Ranges: none 200 and 200; resumed "111111222222"
#   varnish: 206, streamed 200, with Accept-Ranges: none 206 and 200; resumed "111111222222"
set -euo pipefail
PATH=$PATH:/usr/sbin
for program in nginx apache2 lighttpd varnishd curl; do
  command -v $program >/dev/null || { echo "install $program" >&2; exit 2; }
done
work=$(mktemp -d)
chmod 755 "$work"
cd "$work"
port=$((20000 + RANDOM % 20000))
pids=()
trap 'kill "${pids[@]}" || true; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

cat >server.cjs <<'JS'
// /5 is the fifth document, which is made of fives.
require('node:http')
  .createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://localhost');
    const text = pathname.slice(1).repeat(12);
    res.setHeader('Cache-Control', 'no-store');
    if (searchParams.has('none')) res.setHeader('Accept-Ranges', 'none');
    if (!searchParams.has('streamed')) return res.end(text);
    res.write(text.slice(0, 3));
    setTimeout(() => res.end(text.slice(3)), 100);
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
}
CONF
nginx -c "$work/nginx.conf" 2>/dev/null & pids+=($!)

modules=/usr/lib/apache2/modules
cat >apache.conf <<CONF
ServerName localhost
ServerRoot $work
PidFile $work/apache.pid
DefaultRuntimeDir $work
ErrorLog $work/apache.log
Listen 127.0.0.1:$((port + 2))
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule proxy_module $modules/mod_proxy.so
LoadModule proxy_http_module $modules/mod_proxy_http.so
ProxyPass / http://127.0.0.1:$port/
CONF
apache2 -f "$work/apache.conf" -DFOREGROUND & pids+=($!)

cat >lighttpd.conf <<CONF
server.document-root = "$work"
server.errorlog = "$work/lighttpd.log"
server.bind = "127.0.0.1"
server.port = $((port + 3))
server.modules = ("mod_proxy")
proxy.server = ("" => (("host" => "127.0.0.1", "port" => $port)))
CONF
lighttpd -D -f lighttpd.conf & pids+=($!)

mkdir varnish
varnishd -F -n "$work/varnish" -a 127.0.0.1:$((port + 4)) -b 127.0.0.1:$port -s malloc,20m >/dev/null 2>&1 & pids+=($!)

told=''
at=0
for name in nginx apache lighttpd varnish; do
  at=$((at + 1))
  base=http://127.0.0.1:$((port + at))
  curl --silent --output /dev/null --retry 60 --retry-delay 1 --retry-all-errors --fail $base/1
  status() { curl --silent --output /dev/null --range 6- --write-out '%{http_code}' "$base/$1"; }
  printf 111111 >part
  curl --silent --continue-at - --output part $base/2 || true
  told+="$name: $(status 1), streamed $(status '1?streamed'), with Accept-Ranges: none $(status '1?none') and"
  told+=" $(status '1?none&streamed'); resumed \"$(cat part; printf '"')"$'\n'
done
printf '%s' "$told"
[ "$told" = 'nginx: 200, streamed 200, with Accept-Ranges: none 200 and 200; resumed "111111"
apache: 206, streamed 200, with Accept-Ranges: none 206 and 200; resumed "111111222222"
lighttpd: 206, streamed 206, with Accept-Ranges: none 200 and 200; resumed "111111222222"
varnish: 206, streamed 200, with Accept-Ranges: none 206 and 200; resumed "111111222222"
' ]
