import { setTimeout as sleep } from 'node:timers/promises';

export interface LoopOptions {
  work: () => Promise<void>;
  /** The pause after each time, one that failed too. Milliseconds. */
  pause: () => number;
  onFailed: (error: unknown) => void;
}

/** Work that is done again and again, with a pause after each time, until it is stopped. */
export class Loop {
  readonly #options: LoopOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Aborted when it is to stop. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** @param after the pause before the first time. Milliseconds */
  start(after = 0): void {
    this.#running ??= this.#run(after);
  }

  /** Resolves when what is in progress has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** A pause during the work, which ends early when it is to stop. Milliseconds. */
  async sleep(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.signal }).catch(() => undefined);
  }

  async #run(after: number): Promise<void> {
    const { work, pause, onFailed } = this.#options;
    await this.sleep(after);
    while (!this.signal.aborted) {
      try {
        await work();
      } catch (error) {
        onFailed(error);
      }
      await this.sleep(pause());
    }
  }
}

/** A fifth more or less: what many processes do at intervals they do not all do at once. */
export function about(milliseconds: number): number {
  return milliseconds * (0.8 + 0.4 * Math.random());
}
