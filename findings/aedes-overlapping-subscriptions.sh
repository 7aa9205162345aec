#!/usr/bin/env bash
# aedes 1.2.0 with mqtt 5.16.0: a client that follows a topic twice gets its messages with the lower of the two qualities of
# service, and a repeated subscription is not told what is kept there.
#
# Guessed: MQTT 3.1.1 says that of overlapping subscriptions the higher quality counts (3.3.5), and that each SUBSCRIBE, also
# a repeated one, gets the retained message again (3.8.4).
# Seen: the lower one counts, in whatever order the two were made: a client that asks for `posts/7` with quality 1, and for
# `posts/#` with 0, gets `posts/7` with 0, which nobody acknowledges and nobody repeats. What is kept for it while it is away
# comes with the quality of the sender, 2, which no subscription has asked for. A subscription that is repeated with the same
# quality is not told the retained message; with another quality, or after unsubscribing, it is.
# A dashboard that adds "everything, no matter if some is lost" thus takes the guarantee away from what the same connection
# has asked for before. Here a connection has one position in one log, whatever it follows.
#
# Output seen:
#   posts/7 with 1: quality 1
#   posts/# with 0, posts/7 with 1: quality 0
#   posts/7 with 1, posts/# with 0: quality 0
#   posts/# with 2, posts/7 with 1: quality 1
#   posts/# with 0, posts/7 with 1, while away: quality 2
#   retained: first time kept, second time nothing, with higher quality kept, after unsubscribing kept
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent aedes@1.2.0 mqtt@5.16.0
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aedes } from 'aedes';
import mqtt from 'mqtt';

const broker = await Aedes.createBroker();
const server = createServer(broker.handle);
server.listen(0, '127.0.0.1');
await once(server, 'listening');

async function client(options) {
  const opened = mqtt.connect(`mqtt://127.0.0.1:${server.address().port}`, options);
  const heard = [];
  opened.on('message', (topic, payload, { qos }) => heard.push({ text: `${payload}`, qos }));
  await once(opened, 'connect');
  // What has come until half a second has passed.
  const take = async () => {
    await sleep(500);
    return heard.splice(0);
  };
  return { opened, take };
}
const { opened: writer } = await client();
const lines = [];
const post = () => writer.publishAsync('posts/7', 'text', { qos: 2 });
const told = (name, messages) => lines.push(`${name}: quality ${messages.map(({ qos }) => qos).join(' and ')}`);

for (const topics of [
  [['posts/7', 1]],
  [
    ['posts/#', 0],
    ['posts/7', 1],
  ],
  [
    ['posts/7', 1],
    ['posts/#', 0],
  ],
  [
    ['posts/#', 2],
    ['posts/7', 1],
  ],
]) {
  const { opened, take } = await client();
  for (const [topic, qos] of topics) await opened.subscribeAsync(topic, { qos });
  await post();
  told(topics.map(([topic, qos]) => `${topic} with ${qos}`).join(', '), await take());
  await opened.endAsync();
}

const session = { clientId: 'reader', clean: false };
const { opened: before } = await client(session);
await before.subscribeAsync('posts/#', { qos: 0 });
await before.subscribeAsync('posts/7', { qos: 1 });
await before.endAsync();
await post();
const { take: takeLater } = await client(session);
told('posts/# with 0, posts/7 with 1, while away', await takeLater());

await writer.publishAsync('state', 'kept', { qos: 1, retain: true });
const { opened, take } = await client();
const again = async (qos) => {
  await opened.subscribeAsync('state', { qos });
  return (await take())[0]?.text ?? 'nothing';
};
const answers = [await again(0), await again(0), await again(1)];
await opened.unsubscribeAsync('state');
answers.push(await again(1));
const names = ['first time', 'second time', 'with higher quality', 'after unsubscribing'];
lines.push(`retained: ${names.map((name, at) => `${name} ${answers[at]}`).join(', ')}`);

console.log(lines.join('\n'));
const expected = [
  'posts/7 with 1: quality 1',
  'posts/# with 0, posts/7 with 1: quality 0',
  'posts/7 with 1, posts/# with 0: quality 0',
  'posts/# with 2, posts/7 with 1: quality 1',
  'posts/# with 0, posts/7 with 1, while away: quality 2',
  'retained: first time kept, second time nothing, with higher quality kept, after unsubscribing kept',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
