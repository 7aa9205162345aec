import { signal } from '@preact/signals';
import { say } from '../languages/say.ts';

const said = signal('');

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
  return (sentence) => {
    waiting.push(sentence);
    timer ??= setTimeout(
      () => {
        const [first = '', ...others] = waiting;
        said.value = others.length === 0 ? first : say('announced.more', { first, count: others.length });
        waiting = [];
        timer = undefined;
        saidAt = performance.now();
      },
      Math.max(BATCH_WINDOW, saidAt + interval - performance.now()),
    );
  };
}

/** Where announcements are written for assistive technology; nothing of it is seen. */
export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {said}
    </div>
  );
}
