import { signal } from '@preact/signals';
import { say } from '../languages/say.ts';

const said = signal('');
let waiting: string[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** How long news are gathered before they are read out: a screen reader is not to be talked over. Milliseconds. */
const BATCH_WINDOW = 700;

/** Announces changes to screen readers. Of many changes at once only the number is announced. */
export function announce(sentence: string): void {
  waiting.push(sentence);
  timer ??= setTimeout(() => {
    const [first = '', ...others] = waiting;
    said.value = others.length === 0 ? first : say('announced.more', { first, count: others.length });
    waiting = [];
    timer = undefined;
  }, BATCH_WINDOW);
}

/** Where announcements are written for assistive technology; nothing of it is seen. */
export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {said}
    </div>
  );
}
