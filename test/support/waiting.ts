/** Milliseconds between two looks at whether this process was paused, and what a look is late at most if it was not. */
const TICK = 10;
const USUAL = 40;
/** A longer pause than a busy machine makes is the node's own doing, and is not allowed for. Milliseconds. */
const MOST = 1500;

let paused = 0;
let looked = performance.now();
const sinceLook = () => Math.max(0, performance.now() - looked - TICK - USUAL);
setInterval(() => {
  paused += sinceLook();
  looked = performance.now();
}, TICK).unref();

/** Measures a time without what this process, and a node within it, was kept from running meanwhile. */
export class Stopwatch {
  readonly #began = Date.now();
  readonly #paused = paused + sinceLook();

  /** Milliseconds by the clock. */
  get passed(): number {
    return Date.now() - this.#began;
  }

  /** For how long this process had no turn, as far as that is allowed for. Milliseconds. */
  get paused(): number {
    return Math.min(MOST, paused + sinceLook() - this.#paused);
  }

  /** Milliseconds in which something could be done. */
  get ran(): number {
    return this.passed - this.paused;
  }
}

/** What holds in the end does so within this time on any machine; a test of how soon says its own time. Milliseconds. */
const IN_THE_END = 30_000;

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
    if (watch.ran > within) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
