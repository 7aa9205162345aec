#!/usr/bin/env bash
# compression 1.8.1 in Express 5.1.0: a part of a file is compressed by itself, under the range of the plain file.
#
# Guessed: the middleware leaves an answer to `Range` alone, since a range counts the bytes that are sent; or the whole
# answer is compressed and has no ranges.
# Seen: the 206 keeps `Content-Range: bytes 100-2099/50000` of the file as it is, and its body is a gzip stream of its own
# that is made of these 2,000 bytes. The whole file, compressed, says `Accept-Ranges: bytes` and has the same weak tag.
# A browser that resumes a download, or `curl --compressed --continue-at -`, puts a second gzip stream behind the first part
# of another one: the file is damaged, without an error of the server. Here answers of 206 are not compressed.
#
# Output seen:
#   whole: 200, gzip, Accept-Ranges bytes
#   part: 206, gzip, Content-Range bytes 100-2099/50000, gzip stream of its own: true, 2000 bytes in it
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent express@5.1.0 compression@1.8.1
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { gunzipSync } from 'node:zlib';
import compression from 'compression';
import express from 'express';

const file = '0123456789'.repeat(5000);
writeFileSync('file.txt', file);
const app = express();
app.use(compression());
app.use(express.static('.'));
const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');

async function ask(headers) {
  const request = get({ port: server.address().port, path: '/file.txt', headers: { 'Accept-Encoding': 'gzip', ...headers } });
  const [response] = await once(request, 'response');
  return { response, body: Buffer.concat(await response.toArray()) };
}
const whole = await ask({});
const part = await ask({ Range: 'bytes=100-2099' });
const text = gunzipSync(part.body).toString();
const lines = [
  `whole: ${whole.response.statusCode}, ${whole.response.headers['content-encoding']}, Accept-Ranges ${whole.response.headers['accept-ranges']}`,
  `part: ${part.response.statusCode}, ${part.response.headers['content-encoding']}, Content-Range ${part.response.headers['content-range']}, ` +
    `gzip stream of its own: ${text === file.slice(100, 2100)}, ${text.length} bytes in it`,
];
console.log(lines.join('\n'));
const expected = [
  'whole: 200, gzip, Accept-Ranges bytes',
  'part: 206, gzip, Content-Range bytes 100-2099/50000, gzip stream of its own: true, 2000 bytes in it',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node --no-warnings run.mjs
