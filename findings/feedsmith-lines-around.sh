#!/usr/bin/env bash
# feedsmith 3.0.1 with rss-parser 3.13.0: an id, link or title that has "&", "<" or ">" is written with a line break and spaces
# around it, and rss-parser hands them on.
#
# Guessed: indentation stands between elements alone, and a text is written as "&amp;" or as CDATA, which are the same.
# Seen: a text that needs neither is written as it is; any other stands as CDATA on a line of its own, and the break and the
# spaces before and behind it are part of the text. RFC 4287 (2) forbids white space in an IRI, and says of ids (4.2.6.1) that
# they are compared character by character. rss-parser keeps all of it: an id, a guid, a link or comments with more than one
# query parameter, and "Q&A", begin and end with a line break. feedsmith's own parser, feedparser 2.6.0 and
# @rowanmanning/feed-parser 2.1.5 take it off, so that what is written and read by the same library looks right. `link` of
# Atom is an attribute and is right.
# A reader that knows posts by their ids shows each of these anew when a site moves to feedsmith, or when such a character
# comes into a title. Tidings writes no feeds of this kind; an addition that does has to look at the text, not at what a
# parser makes of it.
#
# Output seen:
#   Atom: id "\n      https://example.net/?post=7&lang=en\n    ", title "\n      Q&A\n    ", link "https://example.net/?post=7&lang=en"
#   RSS: guid "\n        https://example.net/?post=7&lang=en\n      ", title "\n        Q&A\n      "
#   plain: guid "https://example.net/posts/7", title "Questions"
#   feedsmith, feedparser, @rowanmanning/feed-parser: guid "https://example.net/?post=7&lang=en", title "Q&A"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  feedsmith@3.0.1 rss-parser@3.13.0 feedparser@2.6.0 @rowanmanning/feed-parser@2.1.5
cat >run.mjs <<'JS'
import { Readable } from 'node:stream';
import { parseFeed as parseWithRowan } from '@rowanmanning/feed-parser';
import FeedParser from 'feedparser';
import { generateAtomFeed, generateRssFeed, parseRssFeed } from 'feedsmith';
import RssParser from 'rss-parser';

const parser = new RssParser();
const text = JSON.stringify;
const rss = (link, title) =>
  generateRssFeed({ title, link, description: 'Posts', items: [{ title, link, guid: { value: link, isPermaLink: true } }] });
const address = 'https://example.net/?post=7&lang=en';
const lines = [];

const updated = new Date(0);
const links = [{ href: address, rel: 'alternate' }];
const entry = { id: address, title: { value: 'Q&A' }, updated, links };
const [inAtom] = (await parser.parseString(generateAtomFeed({ ...entry, entries: [entry] }))).items;
lines.push(`Atom: id ${text(inAtom.id)}, title ${text(inAtom.title)}, link ${text(inAtom.link)}`);
const written = rss(address, 'Q&A');
for (const [name, document] of [
  ['RSS', written],
  ['plain', rss('https://example.net/posts/7', 'Questions')],
]) {
  const [{ guid, title }] = (await parser.parseString(document)).items;
  lines.push(`${name}: guid ${text(guid)}, title ${text(title)}`);
}

const [byFeedsmith] = parseRssFeed(written).items;
const seen = [{ guid: byFeedsmith.guid.value, title: byFeedsmith.title }];
for await (const { guid, title } of Readable.from([written]).pipe(new FeedParser({}))) seen.push({ guid, title });
const [byRowan] = parseWithRowan(written).items;
seen.push({ guid: byRowan.id, title: byRowan.title });
const different = new Set(seen.map(({ guid, title }) => `guid ${text(guid)}, title ${text(title)}`));
lines.push(`feedsmith, feedparser, @rowanmanning/feed-parser: ${[...different].join('; ')}`);

console.log(lines.join('\n'));
const expected = [
  String.raw`Atom: id "\n      https://example.net/?post=7&lang=en\n    ", title "\n      Q&A\n    ", link "https://example.net/?post=7&lang=en"`,
  String.raw`RSS: guid "\n        https://example.net/?post=7&lang=en\n      ", title "\n        Q&A\n      "`,
  'plain: guid "https://example.net/posts/7", title "Questions"',
  'feedsmith, feedparser, @rowanmanning/feed-parser: guid "https://example.net/?post=7&lang=en", title "Q&A"',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
