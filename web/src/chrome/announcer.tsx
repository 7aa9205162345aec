import { signal } from '@preact/signals';
import { say } from '../languages/say.ts';

const said = signal('');

/** Takes back what is still to be read out. */
const takeBack = new Set<() => void>();

/** How long sentences are gathered before they are read out: a screen reader is not to be talked over. Milliseconds. */
const BATCH_WINDOW = 700;
/** News are read out at most once in so long: those that come faster could not be listened to. Milliseconds. */
const NEWS_INTERVAL = 4000;

/** Announces to screen readers what the reader has done, and what has happened to the page. */
export const announce = gathering(0);

/** Announces what others do. Of much at once only the number is announced. */
export const announceNews = gathering(NEWS_INTERVAL);

function gathering(interval: number): (sentence: string) => void {
  let waiting: string[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let saidAt = -Infinity;
  takeBack.add(() => {
    clearTimeout(timer);
    timer = undefined;
    waiting = [];
  });
  return (sentence) => {
    waiting.push(sentence);
    timer ??= setTimeout(
      () => {
        const [first = '', ...others] = waiting;
        const next = others.length === 0 ? first : say('announced.more', { first, count: others.length });
        // The same once more is read out only where the text is another.
        said.value = next === said.peek() ? `${next}\u00a0` : next;
        waiting = [];
        timer = undefined;
        saidAt = performance.now();
      },
      Math.max(BATCH_WINDOW, saidAt + interval - performance.now()),
    );
  };
}

/** Nothing of one user's is read out to the next. */
export function forgetAnnouncements(): void {
  for (const take of takeBack) take();
  said.value = '';
}

/** Where announcements are written for assistive technology; nothing of it is seen. */
export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {said}
    </div>
  );
}
