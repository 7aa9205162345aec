import { now } from './clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const whole = new Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'short' });
const dayAndMonth = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });
const withYear = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', year: 'numeric' });

/** How long ago something was, and, when pointed at, exactly when. */
export function RelativeTime({ at }: { at: string }) {
  const then = new Date(at);
  return (
    <time dateTime={at} title={whole.format(then)}>
      {ago(then, now.value)}
    </time>
  );
}

function ago(then: Date, present: number): string {
  // A clock that is a little behind the server's must not make a post come from the future.
  const age = Math.max(0, present - then.getTime());
  if (age < MINUTE) return 'just now';
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h`;
  if (age < 7 * DAY) return age < 2 * DAY ? 'yesterday' : `${Math.floor(age / DAY)} days`;
  return (then.getFullYear() === new Date(present).getFullYear() ? dayAndMonth : withYear).format(then);
}
