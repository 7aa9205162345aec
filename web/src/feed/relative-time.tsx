import { formats } from '../languages/formats.ts';
import { now } from './clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long ago something was, and, when pointed at, exactly when. */
export function RelativeTime({ at }: { at: string }) {
  const then = new Date(at);
  return (
    <time dateTime={at} title={formats.value.whole.format(then)}>
      {timeAgo(then, now.value)}
    </time>
  );
}

/** @param present milliseconds since 1970 */
function timeAgo(then: Date, present: number): string {
  const { ago, dayAndMonth, withYear } = formats.value;
  // A clock that is a little behind the server's must not make a post come from the future.
  const age = Math.max(0, present - then.getTime());
  if (age < MINUTE) return ago.format(0, 'second');
  if (age < HOUR) return ago.format(-Math.floor(age / MINUTE), 'minute');
  if (age < DAY) return ago.format(-Math.floor(age / HOUR), 'hour');
  const days = dayOf(new Date(present)) - dayOf(then);
  if (days < 7) return ago.format(-days, 'day');
  return (then.getFullYear() === new Date(present).getFullYear() ? dayAndMonth : withYear).format(then);
}

/** The number of a day of the calendar where the reader is: "yesterday" is the day before, whatever the hour. */
function dayOf(time: Date): number {
  return Date.UTC(time.getFullYear(), time.getMonth(), time.getDate()) / DAY;
}
