#!/usr/bin/env bash
# feed 6.0.0: `rss2()` takes the durations out of the feed that it writes, so the second call gives another text than the
# first; and in Atom an enclosure gets another type than the one that was given.
#
# Guessed: `rss2()` and `atom1()` read the feed, may be called again, and write the `type` of an enclosure as it was given.
# Seen: the first `rss2()` of a podcast has `itunes:duration`, and each later one has none. RSS keeps a given `type`, Atom does
# not: it is always "image/" with the ending of the address, so a document is "image/pdf" and a picture "image/jpg", which is
# no type. Without an ending it is "image/" with the whole path. The `type` of `audio` is overwritten in the same way.
# A server that builds the feed once and writes it for each request, or for RSS and again for its ETag, is right for the first
# reader alone. Tidings writes no RSS; an addition that does has to make a `Feed` for each text.
#
# Output seen:
#   first RSS: <itunes:duration>01:30</itunes:duration>
#   second RSS: no duration
#   given application/pdf: RSS application/pdf, Atom image/pdf
#   given image/jpeg: RSS image/jpeg, Atom image/jpg
#   given text/plain: RSS text/plain, Atom image//files/7
#   given audio/mpeg: RSS audio/mpeg, Atom audio/mp3
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent feed@6.0.0
cat >run.mjs <<'JS'
import { Feed } from 'feed';

const site = 'https://news.example';
const feed = new Feed({ id: site, title: 'News', link: site, podcast: true, updated: new Date(0) });
const given = [
  ['enclosure', { url: `${site}/a.pdf`, type: 'application/pdf', length: 5 }],
  ['enclosure', { url: `${site}/a.jpg`, type: 'image/jpeg', length: 5 }],
  ['enclosure', { url: `${site}/files/7`, type: 'text/plain', length: 5 }],
  ['audio', { url: `${site}/a.mp3`, type: 'audio/mpeg', length: 5, duration: 90 }],
];
for (const [name, file] of given) feed.addItem({ title: 'Item', link: `${site}/item`, date: new Date(0), [name]: file });

const duration = (text) => text.match(/<itunes:duration>.*/)?.[0] ?? 'no duration';
const types = (text, element) => [...text.matchAll(element)].map(([, type]) => type);
const first = feed.rss2();
const lines = [`first RSS: ${duration(first)}`, `second RSS: ${duration(feed.rss2())}`];
const inRss = types(first, /<enclosure .*type="(.*?)"/g);
const inAtom = types(feed.atom1(), /rel="enclosure" .*type="(.*?)"/g);
given.forEach(([, { type }], at) => lines.push(`given ${type}: RSS ${inRss[at]}, Atom ${inAtom[at]}`));
console.log(lines.join('\n'));
const expected = [
  'first RSS: <itunes:duration>01:30</itunes:duration>',
  'second RSS: no duration',
  'given application/pdf: RSS application/pdf, Atom image/pdf',
  'given image/jpeg: RSS image/jpeg, Atom image/jpg',
  'given text/plain: RSS text/plain, Atom image//files/7',
  'given audio/mpeg: RSS audio/mpeg, Atom audio/mp3',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
