#!/usr/bin/env bash
# Caddy 2.6.2 with `encode gzip`: the answer to HEAD says `Content-Length: 20` for whatever compresses.
#
# Guessed: HEAD has the length that GET would have, or none (RFC 9110, 9.3.2). Where the body is compressed on the fly,
# the length is not known, and is left out.
# Seen: Caddy compresses the empty body of the answer to HEAD, and 20 bytes is what gzip makes of nothing. So each text
# file and each answer of a server behind it, however large, is 20 bytes long for a client that says `Accept-Encoding:
# gzip` and asks for the length first: to show progress, to plan ranges, or to see whether a download is complete. The
# length that the server behind it had given is overwritten. Without the header, or below `minimum_length` (512 bytes),
# the answer is right. nginx leaves the length out, Apache and HAProxy keep that of the plain text and do not announce
# gzip, Varnish asks for the whole with GET and tells the compressed length. Here the files of `deploy` do not compress
# in Caddy.
#
# Output seen:
#   file, GET: gzip, 60 bytes or more
#   file, HEAD: gzip, Content-Length 20
#   behind a proxy, HEAD: gzip, Content-Length 20
#   plain, HEAD: Content-Length 8000
#   short file, HEAD: Content-Length 6
set -euo pipefail
for program in caddy curl node; do
  command -v $program >/dev/null || { echo "install $program" >&2; exit 2; }
done
work=$(mktemp -d)
cd "$work"
port=$((20000 + RANDOM % 12000))
pids=()
trap 'kill "${pids[@]}" || true; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

mkdir files
seq 100000 101400 | tr -d '\n' | head -c 8000 >files/long.txt || true
echo short >files/short.txt
cat >server.cjs <<'JS'
require('node:http')
  .createServer((req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 8000 });
    res.end(req.method === 'HEAD' ? undefined : 'x'.repeat(8000));
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
JS
node server.cjs $port & pids+=($!)
cat >Caddyfile <<CONF
{
	admin off
	auto_https off
}
http://127.0.0.1:$((port + 1)) {
	encode gzip
	reverse_proxy /proxied 127.0.0.1:$port
	root * $work/files
	file_server
}
CONF
XDG_DATA_HOME=$work XDG_CONFIG_HOME=$work caddy run --config Caddyfile --adapter caddyfile 2>caddy.log & pids+=($!)

base=http://127.0.0.1:$((port + 1))
curl --silent --output /dev/null --retry 60 --retry-delay 1 --retry-all-errors --fail $base/proxied
field() { tr -d '\r' <head | sed -n "s/^$1: //Ip"; }
head_of() {
  curl --silent --head --output head "$@"
  local encoding length
  encoding=$(field content-encoding) length=$(field content-length)
  echo "HEAD: ${encoding:+$encoding, }Content-Length $length"
}
gzip=(--header 'Accept-Encoding: gzip')
bytes=$(curl --silent "${gzip[@]}" --dump-header head --output body --write-out '%{size_download}' $base/long.txt)
[ "$bytes" -ge 60 ] && bytes='60 bytes or more'
told="file, GET: $(field content-encoding), $bytes
file, $(head_of "${gzip[@]}" $base/long.txt)
behind a proxy, $(head_of "${gzip[@]}" $base/proxied)
plain, $(head_of $base/long.txt)
short file, $(head_of "${gzip[@]}" $base/short.txt)"
echo "$told"
[ "$told" = 'file, GET: gzip, 60 bytes or more
file, HEAD: gzip, Content-Length 20
behind a proxy, HEAD: gzip, Content-Length 20
plain, HEAD: Content-Length 8000
short file, HEAD: Content-Length 6' ]
