const query = matchMedia('(prefers-reduced-motion: reduce)');

/** Whether the reader wants things to stay still. Asked each time, since they may change their mind. */
export function prefersStillness(): boolean {
  return query.matches;
}
