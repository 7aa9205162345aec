/** Preloaded into both sides of the line about memory: a signal asks for a garbage collection. */
process.on('SIGUSR2', () => {
  globalThis.gc?.();
});
