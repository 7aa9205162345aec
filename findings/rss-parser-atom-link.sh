#!/usr/bin/env bash
# rss-parser 3.13.0: the `link` of an Atom feed or entry may be that of the comments, of an audio file or of the feed itself,
# although the article's stands beside it.
#
# Guessed: a link without `rel` is the article's: RFC 4287 (4.2.7.2) says that it is to be read as `rel="alternate"`.
# Seen: `link` is the first one that says `rel="alternate"`. Where none does, it is the first of all, whatever its `rel` is. So
# the order of the links decides, which has no meaning in Atom: with the article's link first all is well, and with another
# before it readers are sent there. A feed that is only linked by `rel="self"` is its own home page, and one without it has
# its second link, the page of its author for one, as `feedUrl`.
# The form without `rel` is that of the first example in the standard. A reader of the feeds of others, as a bridge into
# Tidings would be, has to choose itself; `customFields` with `keepArray` hands on all links.
#
# Output seen:
#   article first: item https://news.example/1
#   comments first: item https://news.example/1/comments
#   audio first: item https://news.example/1.mp3
#   home page: feed https://news.example/feed, feedUrl https://news.example/feed
#   author's page, no self: feed https://news.example/, feedUrl https://author.example/
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent rss-parser@3.13.0
cat >run.cjs <<'JS'
const Parser = require('rss-parser');

const site = 'https://news.example';
const head = '<id>urn:example:1</id><title>News</title><updated>2026-01-01T00:00:00Z</updated>';
const atom = (links, entryLinks = '') =>
  new Parser().parseString(
    `<feed xmlns="http://www.w3.org/2005/Atom">${head}${links}<entry>${head}${entryLinks}</entry></feed>`,
  );
const article = `<link href="${site}/1"/>`;
const comments = `<link rel="replies" href="${site}/1/comments"/>`;
const audio = `<link rel="enclosure" type="audio/mpeg" href="${site}/1.mp3"/>`;
const home = `<link href="${site}/"/>`;
const self = `<link rel="self" href="${site}/feed"/>`;
const author = '<link rel="related" href="https://author.example/"/>';

(async () => {
  const lines = [];
  for (const [name, links] of [
    ['article', article + comments],
    ['comments', comments + article],
    ['audio', audio + article],
  ]) {
    const { items } = await atom(self, links);
    lines.push(`${name} first: item ${items[0].link}`);
  }
  for (const [name, links] of [
    ['home page', self + home],
    ["author's page, no self", home + author],
  ]) {
    const { link, feedUrl } = await atom(links);
    lines.push(`${name}: feed ${link}, feedUrl ${feedUrl}`);
  }
  console.log(lines.join('\n'));
  const expected = [
    'article first: item https://news.example/1',
    'comments first: item https://news.example/1/comments',
    'audio first: item https://news.example/1.mp3',
    'home page: feed https://news.example/feed, feedUrl https://news.example/feed',
    "author's page, no self: feed https://news.example/, feedUrl https://author.example/",
  ];
  process.exit(lines.join() === expected.join() ? 0 : 1);
})();
JS
node --no-warnings run.cjs
