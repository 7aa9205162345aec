#!/usr/bin/env bash
# cron 4.4.0: on the night in which the clocks are set back, a job that is due in the hour after the repeated one also
# runs an hour early, at a time that its pattern does not have.
#
# Guessed: what is due within the repeated hour runs once or twice; what is due at any other hour runs once, at that
# hour.
# Seen: in Europe/Berlin the hour from 2 to 3 comes twice. A job for 3:00 runs at 2:00, when the second of these hours
# begins, and again at 3:00; one for 3:30 runs at 2:30 and at 3:30. The same in New York for 2:00. Jobs for 2:00 and for
# 4:00 are right. The times are made of "the time minus an hour", if this has the same hour as one of its neighbours,
# without asking the pattern. In `nextDates` and in the timer that is set by it. A job at 3:00 is the usual one for what
# may run once a day only. cron-parser 5.10.6 and croner 11.0.1 give each of them once.
# Here recurring work has an interval, and no time of day.
#
# Output seen:
#   Berlin, 0 3 * * *: 02:00+01:00, 03:00+01:00, 03:00+01:00
#   Berlin, 30 3 * * *: 02:30+01:00, 03:30+01:00, 03:30+01:00
#   Berlin, 0 4 * * *: 04:00+01:00, 04:00+01:00, 04:00+01:00
#   New York, 0 2 * * *: 01:00-05:00, 02:00-05:00, 02:00-05:00
#   cron-parser, Berlin, 0 3 * * *: 03:00+01:00, 03:00+01:00, 03:00+01:00
#   croner, Berlin, 0 3 * * *: 03:00+01:00, 03:00+01:00, 03:00+01:00
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent cron@4.4.0 luxon@3.7.2 cron-parser@5.10.6 croner@11.0.1
cat >run.mjs <<'JS'
import { CronTime } from 'cron';
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';
import { DateTime } from 'luxon';

const berlin = 'Europe/Berlin';
const start = { [berlin]: new Date('2026-10-24T12:00:00Z'), 'America/New_York': new Date('2026-10-31T12:00:00Z') };
const told = (dates, zone) => dates.map((date) => DateTime.fromJSDate(date, { zone }).toFormat('HH:mmZZ')).join(', ');
const next = {
  cron(pattern, zone) {
    const time = new CronTime(pattern, zone);
    const dates = [];
    let from = start[zone];
    for (let count = 0; count < 3; count += 1) dates.push((from = time.getNextDateFrom(from, zone).toJSDate()));
    return dates;
  },
  'cron-parser'(pattern, tz) {
    const times = CronExpressionParser.parse(pattern, { currentDate: start[tz], tz });
    return [1, 2, 3].map(() => times.next().toDate());
  },
  croner: (pattern, timezone) => new Cron(pattern, { timezone, paused: true }).nextRuns(3, start[timezone]),
};
const lines = [];
for (const [city, zone, pattern] of [
  ['Berlin', berlin, '0 3 * * *'],
  ['Berlin', berlin, '30 3 * * *'],
  ['Berlin', berlin, '0 4 * * *'],
  ['New York', 'America/New_York', '0 2 * * *'],
]) {
  lines.push(`${city}, ${pattern}: ${told(next.cron(pattern, zone), zone)}`);
}
for (const name of ['cron-parser', 'croner']) {
  lines.push(`${name}, Berlin, 0 3 * * *: ${told(next[name]('0 3 * * *', berlin), berlin)}`);
}
console.log(lines.join('\n'));
const expected = [
  'Berlin, 0 3 * * *: 02:00+01:00, 03:00+01:00, 03:00+01:00',
  'Berlin, 30 3 * * *: 02:30+01:00, 03:30+01:00, 03:30+01:00',
  'Berlin, 0 4 * * *: 04:00+01:00, 04:00+01:00, 04:00+01:00',
  'New York, 0 2 * * *: 01:00-05:00, 02:00-05:00, 02:00-05:00',
  'cron-parser, Berlin, 0 3 * * *: 03:00+01:00, 03:00+01:00, 03:00+01:00',
  'croner, Berlin, 0 3 * * *: 03:00+01:00, 03:00+01:00, 03:00+01:00',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
