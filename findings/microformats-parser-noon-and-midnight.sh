#!/usr/bin/env bash
# microformats-parser 2.0.6: half past noon is 24:30, a time that no day has, and midnight is noon.
#
# Guessed: "12:30pm" in a date of the value class pattern is 12:30, and "12:30am" is 00:30 (microformats2 parsing, value
# class pattern, date and time).
# Seen: "pm" adds twelve hours and "am" adds none, also to the hour of twelve. So each lunch in an h-event is at
# "24:30", which `Date` calls invalid, and a party that begins at midnight begins at noon of that day, which is a date
# like any other and is not noticed. An end that has only a time, and takes the date of its start, is wrong in the same
# way. "1pm" and "11:59pm" are right, and so are times of 24 hours. "12:30 p.m." gives "12:30 P.M.", although the dots
# are in the specification as well.
# Here feeds have dates of RFC 3339 and no microformats.
#
# Output seen:
#   12:30pm: 2024-01-02 24:30, for Date invalid
#   12pm: 2024-01-02 24:00, for Date 2024-01-03T00:00:00.000Z
#   12:30am: 2024-01-02 12:30, for Date 2024-01-02T12:30:00.000Z
#   12am: 2024-01-02 12:00, for Date 2024-01-02T12:00:00.000Z
#   1pm: 2024-01-02 13:00, for Date 2024-01-02T13:00:00.000Z
#   11:59pm: 2024-01-02 23:59, for Date 2024-01-02T23:59:00.000Z
#   12:30 p.m.: 2024-01-02 12:30 P.M., for Date invalid
#   end alone: 2024-01-02 24:45
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent microformats-parser@2.0.6
cat >run.mjs <<'JS'
import { mf2 } from 'microformats-parser';

const properties = (html) => mf2(html, { baseUrl: 'https://example.org/' }).items[0].properties;
const value = (text) => `<span class="value">${text}</span>`;
const lines = ['12:30pm', '12pm', '12:30am', '12am', '1pm', '11:59pm', '12:30 p.m.'].map((time) => {
  const { start } = properties(
    `<div class="h-event"><span class="dt-start">${value('2024-01-02')} at ${value(time)}</span></div>`,
  );
  const date = new Date(`${start[0].replace(' ', 'T')}Z`);
  return `${time}: ${start[0]}, for Date ${Number.isNaN(date.getTime()) ? 'invalid' : date.toISOString()}`;
});
const { end } = properties(
  `<div class="h-event"><span class="dt-start">${value('2024-01-02')} ${value('11:30am')}</span>` +
    `<span class="dt-end">${value('12:45pm')}</span></div>`,
);
lines.push(`end alone: ${end[0]}`);
console.log(lines.join('\n'));
const expected = [
  '12:30pm: 2024-01-02 24:30, for Date invalid',
  '12pm: 2024-01-02 24:00, for Date 2024-01-03T00:00:00.000Z',
  '12:30am: 2024-01-02 12:30, for Date 2024-01-02T12:30:00.000Z',
  '12am: 2024-01-02 12:00, for Date 2024-01-02T12:00:00.000Z',
  '1pm: 2024-01-02 13:00, for Date 2024-01-02T13:00:00.000Z',
  '11:59pm: 2024-01-02 23:59, for Date 2024-01-02T23:59:00.000Z',
  '12:30 p.m.: 2024-01-02 12:30 P.M., for Date invalid',
  'end alone: 2024-01-02 24:45',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
