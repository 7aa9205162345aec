#!/usr/bin/env bash
# rrule 2.8.1: if the hours of a rule do not ascend, `after`, `before`, `between` and UNTIL pass over occurrences, and two
# numbers of BYSETPOS that mean the same day give it twice.
#
# Guessed: `BYHOUR=18,9` means what `BYHOUR=9,18` means: a recurrence set is a set (RFC 5545, 3.3.10), and the order of days and
# months in a rule is without effect. At most `all()` lists a day from evening to morning.
# Seen: the evening comes first, and all else takes the first time that is too late for the end. `after` midnight is 18:00;
# `between` midnight and noon there is nothing; `before` noon is the day before; UNTIL at noon loses that day's 9:00; COUNT
# counts in this order; BYSETPOS=1, the first of the day, is 18:00. BYMINUTE and BYSECOND are alike, and so is an RRuleSet.
# BYSETPOS=1,-1 where the first is also the last gives the same date twice, and each counts. rrule-temporal 2.2.8 is right.
# A server that asks `after(now)` for the next reminder never sends the one of the morning, and which rule it is depends on
# the order in which somebody has clicked at two hours. Here no rules are kept.
#
# Output seen:
#   9,18: after 2026-01-03T09, before 2026-01-03T09, between 2026-01-03T09, first 2026-01-01T09
#     until noon 2026-01-01T09 2026-01-01T18 2026-01-02T09, three 2026-01-01T09 2026-01-01T18 2026-01-02T09
#   18,9: after 2026-01-03T18, before 2026-01-02T09, between -, first 2026-01-01T18
#     until noon 2026-01-01T18 2026-01-01T09, three 2026-01-01T18 2026-01-01T09 2026-01-02T18
#   rrule-temporal, 18,9: after 2026-01-03T09, between 2026-01-03T09
#   first and last of a day: 2026-01-01T09 2026-01-01T09 2026-01-02T09 2026-01-02T09
#   the same in rrule-temporal: 2026-01-01T09 2026-01-02T09 2026-01-03T09 2026-01-04T09
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent rrule@2.8.1 rrule-temporal@2.2.8
cat >run.mjs <<'JS'
import { RRuleTemporal } from 'rrule-temporal';
import rrule from 'rrule';

const text = (parts) => `DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;${parts}`;
const rule = (parts) => rrule.rrulestr(text(parts));
const other = (parts) => new RRuleTemporal({ rruleString: text(parts) });
const midnight = new Date('2026-01-03T00:00:00Z');
const noon = new Date('2026-01-03T12:00:00Z');
const hour = (time) => (time instanceof Date ? time : new Date(time.epochMilliseconds)).toISOString().slice(0, 13);
const list = (times) => times.map(hour).join(' ') || '-';
const lines = [];
for (const hours of ['9,18', '18,9']) {
  const daily = rule(`BYHOUR=${hours}`);
  lines.push(
    `${hours}: after ${hour(daily.after(midnight))}, before ${hour(daily.before(noon))}, ` +
      `between ${list(daily.between(midnight, noon))}, first ${hour(rule(`BYHOUR=${hours};BYSETPOS=1;COUNT=1`).all()[0])}`,
    `  until noon ${list(rule(`BYHOUR=${hours};UNTIL=20260102T120000Z`).all())}, ` +
      `three ${list(rule(`BYHOUR=${hours};COUNT=3`).all())}`,
  );
}
const right = other('BYHOUR=18,9');
lines.push(
  `rrule-temporal, 18,9: after ${hour(right.next(midnight))}, between ${list(right.between(midnight, noon))}`,
  `first and last of a day: ${list(rule('BYSETPOS=1,-1;COUNT=4').all())}`,
  `the same in rrule-temporal: ${list(other('BYSETPOS=1,-1;COUNT=4').all())}`,
);
console.log(lines.join('\n'));
const expected = [
  '9,18: after 2026-01-03T09, before 2026-01-03T09, between 2026-01-03T09, first 2026-01-01T09',
  '  until noon 2026-01-01T09 2026-01-01T18 2026-01-02T09, three 2026-01-01T09 2026-01-01T18 2026-01-02T09',
  '18,9: after 2026-01-03T18, before 2026-01-02T09, between -, first 2026-01-01T18',
  '  until noon 2026-01-01T18 2026-01-01T09, three 2026-01-01T18 2026-01-01T09 2026-01-02T18',
  'rrule-temporal, 18,9: after 2026-01-03T09, between 2026-01-03T09',
  'first and last of a day: 2026-01-01T09 2026-01-01T09 2026-01-02T09 2026-01-02T09',
  'the same in rrule-temporal: 2026-01-01T09 2026-01-02T09 2026-01-03T09 2026-01-04T09',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
