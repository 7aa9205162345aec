import { setTimeout as pause } from 'node:timers/promises';

/**
 * Does something so many times, at most so many at once.
 * @param options.every milliseconds from the time when one is due to that of the next; 0: as fast as it goes
 * @param options.began when the first is due, by `performance.now()`
 * @param options.over whether no more is to be begun
 */
export async function inLanes(
  count: number,
  together: number,
  act: (number: number) => Promise<void>,
  {
    every = 0,
    began = performance.now(),
    over = () => false,
  }: { every?: number; began?: number; over?: () => boolean } = {},
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count && !over()) {
      const number = next;
      next += 1;
      const wait = began + number * every - performance.now();
      if (wait > 1) await pause(wait);
      await act(number);
    }
  };
  await Promise.all(Array.from({ length: Math.max(0, Math.min(together, count)) }, lane));
}
