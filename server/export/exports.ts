import { unavailable } from '../errors.ts';

/** Exports that one process makes at once: each may hold a page of rows, some megabytes. */
const AT_ONCE = 20;
/** `Retry-After` where that many are being made. Seconds. */
const PAUSE = 30;

export interface ExportLimits {
  /** How long a part of an export may stay unread. Milliseconds. */
  unread: number;
  /** How long a whole export may take. Milliseconds. */
  whole: number;
}

/** The exports of this process: how many at once, and how long they may take. */
export class Exports {
  readonly limits: Readonly<ExportLimits>;
  readonly #running = new Set<Promise<void>>();

  constructor(limits: Readonly<ExportLimits>) {
    this.limits = limits;
  }

  /** @throws {AppError} 503 if too many are being made, and whatever `work` throws */
  async run(work: () => Promise<void>): Promise<void> {
    if (this.#running.size >= AT_ONCE)
      throw unavailable('Too many exports are being made at the moment. Try again.', PAUSE);
    const running = work();
    this.#running.add(running);
    try {
      await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Resolves when all have ended: the connections of their clients are closed by then. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
