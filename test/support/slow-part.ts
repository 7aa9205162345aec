/**
 * The part of these that is this run's, of checks that take long one by one. `npm test` says which part it runs by
 * `SLOW_PART=2/8`; all where it says nothing, as when a test file is run by itself. Of fewer than there are parts, one.
 */
export function slowPart<T>(items: T[]): T[] {
  const [number = 1, total = 1] = (process.env.SLOW_PART ?? '1/1').split('/').map(Number);
  const parts = Math.min(total, items.length);
  return items.filter((_, at) => at % parts === (number - 1) % parts);
}
