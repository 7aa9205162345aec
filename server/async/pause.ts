/** A pause that can be ended early. One at a time. */
export class Pause {
  #end: (() => void) | undefined;

  /** Resolves after this time in milliseconds, or when it is ended. */
  for(duration: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#end = undefined;
        resolve();
      };
      const timer = setTimeout(end, duration);
      this.#end = end;
    });
  }

  /** Ends the pause in progress, if there is one. */
  end(): void {
    this.#end?.();
  }
}
