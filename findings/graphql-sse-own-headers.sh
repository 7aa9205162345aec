#!/usr/bin/env bash
# graphql-sse 2.6.1 with graphql 16.15.0: in single connection mode the client writes its token into the `headers` object that
# it was given, and is then refused because of it.
#
# Guessed: `headers: { authorization }` is read, and `headers: () => ({ authorization })` does the same with a value that may
# change. Two clients have nothing in common but the server.
# Seen: the token of the stream is stored in the caller's object, and the next request for a token has the old one in it. To
# that the server of the same package answers 409 as long as it knows the token. So a lazy client fails with each second
# subscription that is made right after the end of the one before; with the retries that are the default it takes seconds
# each time instead of a tenth. Of two clients that were made with the same object only the first ever gets a stream. With a
# function all of it works.
# A page whose parts are shown one after the other thus stands still for some seconds between them, and misses what happens
# then. Nothing of it shows with one client and one subscription. Here a stream is one request and has no token.
#
# Output seen:
#   one client, function: 3 events, 3 events, 3 events, 3 events; headers authorization
#   one client, object: 3 events, 409, 3 events, 409; headers authorization x-graphql-event-stream-token
#   two clients, function: 3 events, 3 events; headers authorization
#   two clients, object: 3 events, 409; headers authorization x-graphql-event-stream-token
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent graphql-sse@2.6.1 graphql@16.15.0
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildSchema } from 'graphql';
import { createClient } from 'graphql-sse';
import { createHandler } from 'graphql-sse/lib/use/http';

const schema = buildSchema('type Query { post: String } type Subscription { post: String }');
schema.getSubscriptionType().getFields().post.subscribe = async function* () {
  for (const post of ['a', 'b', 'c']) {
    await sleep(20);
    yield { post };
  }
};
const server = createServer(createHandler({ schema }));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${server.address().port}/`;

const events = (client) =>
  new Promise((resolve) => {
    let count = 0;
    client.subscribe(
      { query: 'subscription { post }' },
      {
        next: () => (count += 1),
        error: (error) => resolve(error.response?.status ?? error.message),
        complete: () => resolve(`${count} events`),
      },
    );
  });
const lines = [];
const told = (name, results, headers) =>
  lines.push(`${name}: ${results.join(', ')}; headers ${Object.keys(headers).join(' ')}`);
const kinds = {
  function: (headers) => () => ({ ...headers }),
  object: (headers) => headers,
};
const options = { url, singleConnection: true, retryAttempts: 0, onNonLazyError: () => undefined };

for (const [kind, given] of Object.entries(kinds)) {
  const headers = { authorization: 'Bearer key' };
  const client = createClient({ ...options, lazy: true, headers: given(headers) });
  const results = [];
  while (results.length < 4) results.push(await events(client));
  told(`one client, ${kind}`, results, headers);
  client.dispose();
}
for (const [kind, given] of Object.entries(kinds)) {
  const headers = { authorization: 'Bearer key' };
  const clients = [];
  for (let at = 0; at < 2; at += 1) {
    clients.push(createClient({ ...options, lazy: false, headers: given(headers) }));
    await sleep(300);
  }
  told(`two clients, ${kind}`, await Promise.all(clients.map(events)), headers);
  for (const client of clients) client.dispose();
}

console.log(lines.join('\n'));
const expected = [
  'one client, function: 3 events, 3 events, 3 events, 3 events; headers authorization',
  'one client, object: 3 events, 409, 3 events, 409; headers authorization x-graphql-event-stream-token',
  'two clients, function: 3 events, 3 events; headers authorization',
  'two clients, object: 3 events, 409; headers authorization x-graphql-event-stream-token',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
