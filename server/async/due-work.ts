/**
 * Does steps, one after the other, for as long as something is due. What becomes due while a step is done is done after it,
 * also in the very turn in which the last one ends.
 */
export class DueWork {
  readonly #isDue: () => boolean;
  readonly #step: () => Promise<void>;
  #isRunning = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(isDue: () => boolean, step: () => Promise<void>) {
    this.#isDue = isDue;
    this.#step = step;
  }

  /** Something may be due. */
  begin(): void {
    if (!this.#isRunning) this.#ended = this.#run();
  }

  /** Resolves when nothing is due any more. */
  async end(): Promise<void> {
    await this.#ended;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#isDue()) await this.#step();
    } finally {
      // In the turn of the last look: a promise's own `finally` comes later, and what is begun between the two would be lost.
      this.#isRunning = false;
    }
  }
}
