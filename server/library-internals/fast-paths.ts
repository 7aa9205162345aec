/**
 * What the service does faster by using members of its libraries that they do not document. Each has a way through the
 * public API, which is taken when it is switched off.
 *
 * - `direct-writes`: WebSocket frames are written to the TCP connection, past the queue of Engine.IO.
 * - `slim-connections`: objects that a standing connection needs no more are released.
 */
export const FAST_PATHS = ['direct-writes', 'slim-connections'] as const;
export type FastPath = (typeof FAST_PATHS)[number];

export interface FastPathsOptions {
  /** Those that may be used. */
  wanted: readonly FastPath[];
  /** Called once for each that fails. */
  onFailed: (name: FastPath, error: unknown) => void;
}

/** Which fast paths are in use. One that has failed is off for as long as the process runs. */
export class FastPaths {
  readonly #used: Set<FastPath>;
  readonly #onFailed: FastPathsOptions['onFailed'];

  constructor({ wanted, onFailed }: FastPathsOptions) {
    this.#used = new Set(wanted);
    this.#onFailed = onFailed;
  }

  uses(name: FastPath): boolean {
    return this.#used.has(name);
  }

  /** Switches one off that threw or did something else than expected. */
  fail(name: FastPath, error: unknown): void {
    if (!this.#used.delete(name)) return;
    this.#onFailed(name, error);
  }
}
