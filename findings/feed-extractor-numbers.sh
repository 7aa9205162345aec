#!/usr/bin/env bash
# @extractus/feed-extractor 8.0.3: a title, id or description that looks like a number is read as one, so version 2.10
# is called 2.1, and two items get one id.
#
# Guessed: the text of an element is a text. An option may turn numbers into numbers; the default leaves them.
# Seen: text is parsed as a number first and written out again. "2.10" becomes "2.1", "007" becomes "7", "1e3" becomes
# "1000" and "0x10" becomes "16"; the title "0" becomes empty. A feed of releases shows 2.1 twice. Ids "0012" and "12"
# are the same afterwards, and a reader that remembers ids takes the second item for one that it has seen. With
# `normalization: false` a category "1.10" is the number 1.1. rss-parser 3.13.0 gives all of them as they were written.
# Here ids are URIs, but a title is what its author writes.
#
# Output seen:
#   title 2.10: "2.1", rss-parser "2.10"
#   title 007: "7", rss-parser "007"
#   title 1e3: "1000", rss-parser "1e3"
#   title 0x10: "16", rss-parser "0x10"
#   title 0: "", rss-parser "0"
#   ids 0012 and 12: "12" and "12", rss-parser "0012" and "12"
#   category 1.10: 1.1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @extractus/feed-extractor@8.0.3 rss-parser@3.13.0
cat >run.mjs <<'JS'
import { extractFromXml } from '@extractus/feed-extractor';
import Parser from 'rss-parser';

const feed = (...items) =>
  '<rss version="2.0"><channel><title>Releases</title><link>https://example.org/</link><description>All</description>' +
  `${items.map((item) => `<item><link>https://example.org/1</link>${item}</item>`).join('')}</channel></rss>`;
const parser = new Parser();
const lines = [];
for (const title of ['2.10', '007', '1e3', '0x10', '0']) {
  const xml = feed(`<title>${title}</title>`);
  const other = (await parser.parseString(xml)).items[0].title;
  lines.push(`title ${title}: "${extractFromXml(xml).entries[0].title}", rss-parser "${other}"`);
}
const xml = feed(...['0012', '12'].map((id) => `<title>A release</title><guid isPermaLink="false">${id}</guid>`));
const ids = extractFromXml(xml).entries.map(({ id }) => `"${id}"`);
const others = (await parser.parseString(xml)).items.map(({ guid }) => `"${guid}"`);
lines.push(`ids 0012 and 12: ${ids.join(' and ')}, rss-parser ${others.join(' and ')}`);
const raw = extractFromXml(feed('<title>A release</title><category>1.10</category>'), { normalization: false });
lines.push(`category 1.10: ${JSON.stringify([raw.item].flat()[0].category)}`);

console.log(lines.join('\n'));
const expected = [
  'title 2.10: "2.1", rss-parser "2.10"',
  'title 007: "7", rss-parser "007"',
  'title 1e3: "1000", rss-parser "1e3"',
  'title 0x10: "16", rss-parser "0x10"',
  'title 0: "", rss-parser "0"',
  'ids 0012 and 12: "12" and "12", rss-parser "0012" and "12"',
  'category 1.10: 1.1',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
