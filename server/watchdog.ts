import { url as inspectorUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';

/** How often the two threads look at each other. Milliseconds. */
const TICK = 200;
/** How long the event loop may be blocked before the process is killed. Milliseconds. */
const STARVED = 30_000;

/** What the threads share: 32-bit integers, by their index. */
const BEATS = 0;
const LIMIT = 1;
const COMPANION = 2;
const DEBUGGED = 3;

/**
 * Runs in the thread. As text, since a file of TypeScript would need its loader there, and it must depend on nothing that the
 * main thread does: its output is written by itself, its clock is its own. It counts its own ticks, so a process that was
 * frozen as a whole is not taken for a starved one.
 */
const program = `
  const { writeSync } = require('node:fs');
  const { workerData } = require('node:worker_threads');
  const { shared, tick, starved } = workerData;
  const pid = process.pid;
  let last = -1;
  let still = 0;
  let stopping = 0;
  const end = (msg) => {
    try {
      writeSync(1, JSON.stringify({ level: 60, time: Date.now(), pid, msg }) + '\\n');
    } catch {
      // Nobody reads it any more.
    }
    const companion = Atomics.load(shared, ${COMPANION});
    try {
      if (companion > 0) process.kill(companion, 'SIGINT');
    } catch {
      // It has ended already.
    }
    process.kill(pid, 'SIGKILL');
  };
  setInterval(() => {
    const beats = Atomics.load(shared, ${BEATS});
    still = beats === last ? still + tick : 0;
    last = beats;
    const limit = Atomics.load(shared, ${LIMIT});
    if (limit > 0) stopping += tick;
    if (limit > 0 && stopping > limit) end('the shutdown took too long, and the event loop is blocked');
    if (still > starved && Atomics.load(shared, ${DEBUGGED}) === 0)
      end('the event loop has been blocked for ' + starved / 1000 + ' s: the process is killed');
  }, tick);
`;

/**
 * A thread that ends the process when the main one cannot: when the shutdown takes too long because the event loop is
 * starved, so that no timer of ours fires, and when it stands still for half a minute at any time. No code of ours should do
 * that; if some does, a node that is dead and yet holds its port, its connections and its database is worse than one that has
 * ended.
 */
export class Watchdog {
  readonly #shared = new Int32Array(new SharedArrayBuffer(16));
  readonly #companion: () => number;

  /** @param companion the pid of a process that is to be ended with ours (SIGINT); 0 if there is none */
  constructor(companion: () => number, onError: (error: unknown) => void) {
    this.#companion = companion;
    this.#beat();
    setInterval(() => this.#beat(), TICK).unref();
    const thread = new Worker(program, {
      eval: true,
      execArgv: [],
      env: {},
      workerData: { shared: this.#shared, tick: TICK, starved: STARVED },
      resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
    });
    thread.on('error', onError);
    thread.unref();
  }

  /** From now on the process has so long to end. Milliseconds. */
  limit(milliseconds: number): void {
    this.#beat();
    Atomics.store(this.#shared, LIMIT, milliseconds);
  }

  #beat(): void {
    Atomics.add(this.#shared, BEATS, 1);
    Atomics.store(this.#shared, COMPANION, this.#companion());
    Atomics.store(this.#shared, DEBUGGED, inspectorUrl() === undefined ? 0 : 1);
  }
}
