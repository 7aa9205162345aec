import { effect, type ReadonlySignal, signal } from '@preact/signals';

/**
 * A signal that follows another: at once after a pause, and at most once in so many milliseconds. @returns it, and a
 * function that ends it
 */
export function throttled<T>(source: ReadonlySignal<T>, interval: number): [ReadonlySignal<T>, () => void] {
  const followed = signal(source.peek());
  let followedAt = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const follow = () => {
    timer = undefined;
    followedAt = performance.now();
    followed.value = source.peek();
  };
  const end = effect(() => {
    if (source.value === followed.peek() || timer !== undefined) return;
    const wait = followedAt + interval - performance.now();
    if (wait > 0) timer = setTimeout(follow, wait);
    else follow();
  });
  return [
    followed,
    () => {
      clearTimeout(timer);
      end();
    },
  ];
}
