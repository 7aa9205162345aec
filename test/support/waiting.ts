import { readFileSync } from 'node:fs';

/** Milliseconds between two looks at whether this process was paused, and what a look is late at most if it was not. */
const TICK = 10;
const USUAL = 40;
/** A longer pause than a busy machine makes is the node's own doing, and is not allowed for. Milliseconds. */
const MOST = 1500;

let paused = 0;
let looked = performance.now();
/** How long the main thread of a process was ready to run and another one had the processor. Milliseconds; Linux alone says so. */
function waitedForProcessor(pid: number | 'self'): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

const sinceLook = () => Math.max(0, performance.now() - looked - TICK - USUAL);
setInterval(() => {
  paused += sinceLook();
  looked = performance.now();
}, TICK).unref();

/** Measures a time without what this process, and a node within it, was kept from running meanwhile. */
export class Stopwatch {
  readonly #began = Date.now();
  readonly #paused = paused + sinceLook();
  readonly #waited = waitedForProcessor('self');
  /** What each of the others had waited at the beginning, and from there to the last look at which it was there. */
  readonly #others: { pid: number; before: number; waited: number }[];

  /** @param others processes of whose work this is the time as well: the one that was kept from running the longest counts */
  constructor(others: readonly number[] = []) {
    this.#others = others.map((pid) => ({ pid, before: waitedForProcessor(pid), waited: 0 }));
  }

  /** Milliseconds by the clock. */
  get passed(): number {
    return Date.now() - this.#began;
  }

  /**
   * For how long this process had no turn. Milliseconds: as the system has it, or as its timers were late, so far as that
   * is allowed for.
   */
  get paused(): number {
    const late = Math.min(MOST, paused + sinceLook() - this.#paused);
    return Math.max(late, waitedForProcessor('self') - this.#waited);
  }

  get #othersPaused(): number {
    for (const other of this.#others)
      other.waited = Math.max(other.waited, waitedForProcessor(other.pid) - other.before);
    return Math.max(0, ...this.#others.map(({ waited }) => waited));
  }

  /** Milliseconds in which something could be done. */
  get ran(): number {
    // They may have waited at the same time: that is not taken off twice.
    return this.passed - Math.max(this.paused, this.#othersPaused);
  }
}

/** What holds in the end does so within this time on any machine; a test of how soon says its own time. Milliseconds. */
const IN_THE_END = 30_000;

/** Between two looks at a condition: a twentieth of the time so far, but within these. Milliseconds. */
const LEAST = 10;
const GREATEST = 50;

/**
 * Waits until a condition holds, and fails with its description if it does not within the time (milliseconds), in which a
 * pause of this process does not count: it resumes with its timers, before it has read what came meanwhile.
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  within = IN_THE_END,
): Promise<void> {
  const watch = new Stopwatch();
  while (!(await condition())) {
    // How long it has run is read off the system, which takes longer than to look at the clock.
    if (watch.passed > within && watch.ran > within) throw new Error(`not within ${within} ms: ${what}`);
    const next = Math.min(GREATEST, Math.max(LEAST, watch.passed / 20));
    await new Promise((resolve) => setTimeout(resolve, next));
  }
}
