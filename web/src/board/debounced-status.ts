import { type ReadonlySignal, effect, signal } from '@preact/signals';
import type { FeedStatus } from 'tidings-client';

/** An interruption that is shorter is not shown. Milliseconds. */
const NOTICEABLE = 700;

/**
 * Debounces the connection status: short interruptions are not shown. @returns the debounced status, and a function
 * that ends it
 */
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
