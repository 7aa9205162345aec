type Listener = (...args: never[]) => void;

/**
 * Typed listeners. A listener that throws does not affect the others: its error is thrown separately. One that another
 * has just removed is not called.
 */
export class Emitter<E extends { [K in keyof E]: Listener }> {
  readonly #listeners = new Map<keyof E, Set<Listener>>();

  /**
   * @returns removes the listener
   */
  on<K extends keyof E>(name: K, listener: E[K]): () => void {
    // A function of its own, so that one listener may be given twice.
    const own: Listener = (...args) => listener(...args);
    let listeners = this.#listeners.get(name);
    if (!listeners) this.#listeners.set(name, (listeners = new Set()));
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** Removes all. */
  clear(): void {
    for (const listeners of this.#listeners.values()) listeners.clear();
  }

  emit<K extends keyof E>(name: K, ...args: Parameters<E[K]>): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    for (const listener of [...listeners]) {
      if (!listeners.has(listener)) continue;
      try {
        listener(...(args as never[]));
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
