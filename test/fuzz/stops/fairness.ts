import { readFileSync } from 'node:fs';
import { waitedForCpu } from '../cpu-wait.ts';

const TICK = 50;

/** What a timer is late in any case. Milliseconds. */
const USUAL = 10;

/**
 * Knows for how long the processes under test were kept from running, and this one from noting what came: what a bound of time
 * has to allow for on a machine that does other work.
 */
export class Fairness {
  /** Milliseconds since 1970, and what they had waited by then, together. */
  readonly #samples: { at: number; waited: number }[] = [];
  readonly #last = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #waited = 0;

  /** @param roots processes of the service; their children count too */
  constructor(roots: () => number[]) {
    const look = () => {
      // Also by its own work, which is no fault of the service's.
      const since = Date.now() - (this.#samples.at(-1)?.at ?? Date.now());
      this.#waited += Math.max(0, since - TICK - USUAL);
      for (const pid of roots().flatMap((root) => [root, ...childrenOf(root)])) {
        const now = waitedForCpu([pid]);
        this.#waited += Math.max(0, now - (this.#last.get(pid) ?? now));
        this.#last.set(pid, now);
      }
      this.#samples.push({ at: Date.now(), waited: this.#waited });
    };
    look();
    this.#timer = setInterval(look, TICK);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What they waited between two times, about. Milliseconds. */
  waited(from: number, to: number): number {
    return to > from ? this.#at(to, 'after') - this.#at(from, 'before') : 0;
  }

  #at(time: number, side: 'before' | 'after'): number {
    const samples = this.#samples;
    if (side === 'before') return (samples.findLast(({ at }) => at <= time) ?? samples[0])?.waited ?? 0;
    return (samples.find(({ at }) => at >= time) ?? samples.at(-1))?.waited ?? 0;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
