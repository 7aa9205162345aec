import { type ReadonlySignal, effect, signal } from '@preact/signals';
import type { FeedStatus } from 'tidings-client';

/** A connection that is back within this time was not gone for a person. Milliseconds. */
const NOTICEABLE = 700;

/** The status without what passes too quickly to be worth a word. @returns the debounced status, and what ends it */
export function debouncedStatus(
  status: ReadonlySignal<FeedStatus>,
): [ReadonlySignal<FeedStatus>, () => void] {
  const debounced = signal(status.peek());
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    const now = status.value;
    const settled = now.state === 'live' || now.state === 'ended' || debounced.peek().state !== 'live';
    if (settled) {
      clearTimeout(timer);
      timer = undefined;
      debounced.value = now;
    } else {
      timer ??= setTimeout(() => {
        timer = undefined;
        debounced.value = status.peek();
      }, NOTICEABLE);
    }
  });
  return [
    debounced,
    () => {
      clearTimeout(timer);
      end();
    },
  ];
}
