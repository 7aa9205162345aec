import { type ReadonlySignal, effect, signal } from '@preact/signals';
import type { FeedStatus } from 'tidings-client';

/** A connection that is back within this time was not gone for a person. Milliseconds. */
const NOTICEABLE = 700;

/** The status without what passes too quickly to be worth a word. @returns the calm status, and what ends it */
export function calmed(status: ReadonlySignal<FeedStatus>): [ReadonlySignal<FeedStatus>, () => void] {
  const calm = signal(status.peek());
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    const now = status.value;
    const settled = now.state === 'live' || now.state === 'ended' || calm.peek().state !== 'live';
    if (settled) {
      clearTimeout(timer);
      timer = undefined;
      calm.value = now;
    } else {
      timer ??= setTimeout(() => {
        timer = undefined;
        calm.value = status.peek();
      }, NOTICEABLE);
    }
  });
  return [
    calm,
    () => {
      clearTimeout(timer);
      end();
    },
  ];
}
