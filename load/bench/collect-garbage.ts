import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { keptFile } from './kept-memory.ts';

/** Preloaded into both sides of the lines about memory: a signal asks for a garbage collection, and for what is kept after it. */
process.on('SIGUSR2', () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(keptFile(process.pid), String(heapUsed + external));
});
