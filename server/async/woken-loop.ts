import { about, Loop } from './loop.ts';
import { Pause } from './pause.ts';

export interface WokenLoopOptions {
  /** Takes one thing that waits. @returns whether the next one is worth a look at once */
  next: () => Promise<boolean>;
  /** Asked before each. */
  may: () => boolean;
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

  start(): void {
    this.#loop.start();
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
    const { next, may, every } = this.#options;
    try {
      this.#woken = false; // before reading: what is committed meanwhile must still wake us
      while (!this.#loop.signal.aborted && may() && (await next()));
    } finally {
      if (!this.#woken && !this.#loop.signal.aborted) await this.#pause.for(about(every));
    }
  }
}
