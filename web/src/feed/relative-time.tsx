import { language } from '../chrome/language.ts';
import { now } from './clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const whole = new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'short' });
const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });
const dayAndMonth = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short' });
const withYear = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short', year: 'numeric' });

/** How long ago something was, and, when pointed at, exactly when. */
export function RelativeTime({ at }: { at: string }) {
  const then = new Date(at);
  return (
    <time dateTime={at} lang={language} title={whole.format(then)}>
      {ago(then, now.value)}
    </time>
  );
}

function ago(then: Date, present: number): string {
  // A clock that is a little behind the server's must not make a post come from the future.
  const age = Math.max(0, present - then.getTime());
  if (age < MINUTE) return relative.format(0, 'second');
  if (age < HOUR) return relative.format(-Math.floor(age / MINUTE), 'minute');
  if (age < DAY) return relative.format(-Math.floor(age / HOUR), 'hour');
  if (age < 7 * DAY) return relative.format(-Math.floor(age / DAY), 'day');
  return (then.getFullYear() === new Date(present).getFullYear() ? dayAndMonth : withYear).format(then);
}
