import { about, Loop } from './loop.ts';
import { Pause } from './pause.ts';

export interface WokenLoopOptions {
  /** Takes one thing that waits. @returns whether the next one is worth a look at once */
  next: () => Promise<boolean>;
  /** Asked before each; without it there is nothing to ask. */
  may?: () => boolean;
  /** For so long it is waited after it is woken and after each: what comes meanwhile is taken together. Milliseconds. */
  window?: number;
  /** How often it is looked for what others have left. Milliseconds. */
  every: number;
  onFailed: (error: unknown) => void;
}

/** Takes what waits in the database, one thing after the other: at once when it is woken, and from time to time. */
export class WokenLoop {
  readonly #options: WokenLoopOptions;
  readonly #pause = new Pause();
  readonly #loop: Loop;
  #woken = false;

  constructor(options: WokenLoopOptions) {
    this.#options = options;
    this.#loop = new Loop({ work: () => this.#work(), pause: () => 0, onFailed: options.onFailed });
  }

  /** @param after milliseconds */
  start(after = 0): void {
    this.#loop.start(after);
  }

  /** Resolves when what is in progress has ended. */
  async stop(): Promise<void> {
    const stopped = this.#loop.stop();
    this.#pause.end();
    await stopped;
  }

  wake(): void {
    this.#woken = true;
    this.#pause.end();
  }

  async #work(): Promise<void> {
    const { next, may = () => true, window = 0, every } = this.#options;
    const collect = () => (window > 0 ? this.#loop.sleep(window) : undefined);
    try {
      if (this.#woken) await collect();
      this.#woken = false; // before reading: what is committed meanwhile must still wake us
      while (!this.#loop.signal.aborted && may() && (await next())) await collect();
    } finally {
      if (!this.#woken && !this.#loop.signal.aborted) await this.#pause.for(about(every));
    }
  }
}
