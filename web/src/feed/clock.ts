import { signal } from '@preact/signals';

const TICK = 10_000;

/** What time it is, for whatever shows how long ago something was. Milliseconds since 1970. */
export const now = signal(Date.now());

setInterval(() => (now.value = Date.now()), TICK);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = Date.now();
});
