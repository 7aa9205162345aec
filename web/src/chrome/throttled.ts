import { effect, type ReadonlySignal, signal } from '@preact/signals';

/**
 * A signal that follows another: at once after a pause, and at most once in so many milliseconds.
 * @param isUrgent whether a value is followed at once in any case
 * @returns it, and a function that ends it
 */
export function throttled<T>(
  source: ReadonlySignal<T>,
  interval: number,
  isUrgent: (value: T) => boolean = () => false,
): [ReadonlySignal<T>, () => void] {
  const followed = signal(source.peek());
  let followedAt = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const follow = () => {
    timer = undefined;
    followedAt = performance.now();
    followed.value = source.peek();
  };
  const end = effect(() => {
    const { value } = source;
    if (value === followed.peek()) return;
    const wait = isUrgent(value) ? 0 : followedAt + interval - performance.now();
    if (wait > 0) timer ??= setTimeout(follow, wait);
    else {
      clearTimeout(timer);
      follow();
    }
  });
  return [
    followed,
    () => {
      clearTimeout(timer);
      end();
    },
  ];
}
