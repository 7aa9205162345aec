import { readFileSync } from 'node:fs';

/**
 * How long the main threads of these processes have waited for a processor, together, in milliseconds (Linux; elsewhere 0). A
 * node that hostile input keeps busy computes and does not wait: what it waits is the machine's want of processors.
 */
export function waitedForCpu(pids: readonly number[]): number {
  if (process.platform !== 'linux') return 0;
  const nanoseconds = pids.map((pid) => {
    try {
      return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1] ?? 0);
    } catch {
      return 0; // It has ended, which others tell of.
    }
  });
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6;
}
