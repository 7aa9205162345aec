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
export class WokenLoop extends Loop {
  readonly #options: WokenLoopOptions;
  readonly #pause = new Pause();
  #woken = false;

  constructor(options: WokenLoopOptions) {
    super({ work: () => this.#work(), pause: () => 0, onFailed: options.onFailed });
    this.#options = options;
  }

  override async stop(): Promise<void> {
    const stopped = super.stop();
    this.#pause.end();
    await stopped;
  }

  /** Something of this process waits. */
  wake(): void {
    this.#woken = true;
    this.#pause.end();
  }

  async #work(): Promise<void> {
    const { next, may = () => true, window = 0, every } = this.#options;
    const collect = () => (window > 0 ? this.sleep(window) : undefined);
    try {
      if (this.#woken) await collect();
      this.#woken = false; // before reading: what is committed meanwhile must still wake us
      while (!this.signal.aborted && may() && (await next())) await collect();
    } finally {
      if (!this.#woken && !this.signal.aborted) await this.#pause.for(about(every));
    }
  }
}
