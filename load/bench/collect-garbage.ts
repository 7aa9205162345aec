import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { keptFile } from './kept-memory.ts';

/** What one collection leaves to threads that free the memory of buffers, the next has counted. Milliseconds. */
const FREED_WITHIN = 300;

/** Preloaded into both sides of the lines about memory: a signal asks for a garbage collection, and for what is kept after it. */
process.on('SIGUSR2', () => {
  void (async () => {
    globalThis.gc?.();
    await pause(FREED_WITHIN);
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    writeFileSync(keptFile(process.pid), String(heapUsed + external));
  })();
});
