import type { Logger } from './logger.ts';
import { Watchdog } from './watchdog.ts';

/** How long the end of the process may take, and how much later a thread of its own ends it by force. Milliseconds. */
const LIMIT = 9500;
const FORCE_AFTER = 100;

/**
 * Ends the process: gracefully on a signal, with an error after an uncaught exception, and within the time limit in any
 * case.
 */
export class Shutdown {
  readonly #log: Logger;
  readonly #delay: number;
  readonly #watchdog: Watchdog;
  /** Processes that must not outlive this one; the newest first. */
  readonly #essentials: (() => Promise<void>)[] = [];
  #companion: () => number = () => 0;
  #stop: (() => Promise<void>) | undefined;
  #begun = false;
  #failed = false;

  /**
   * @param delay for how long the node continues serving before it begins to end. Milliseconds
   */
  constructor(log: Logger, delay: number) {
    this.#log = log;
    this.#delay = delay;
    this.#watchdog = new Watchdog(
      () => this.#companion(),
      (error) =>
        log.warn(
          { err: error },
          'the watchdog has exited; the shutdown limit depends on the event loop alone',
        ),
    );
    // A closed terminal or reader of the log: no reason to stop abruptly.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    process.on('uncaughtException', (error, origin) => this.#fail(error, origin));
  }

  /** Ends the process in order. Asked again, it continues with what it does. */
  begin(reason: object): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#log.info(reason, 'shutting down');
    this.#limit();
    if (this.#stop) exitAfter(this.#stop());
  }

  /**
   * Says how to stop in order once there is something to stop.
   * @returns whether that has already begun
   */
  stopWith(stop: () => Promise<void>): boolean {
    this.#stop = stop;
    if (this.#begun && !this.#failed) exitAfter(stop());
    return this.#begun;
  }

  /**
   * Names something that may not outlive the process, from the moment at which it runs.
   * @param pid of a process that is to be ended even if this one is ended by force
   */
  neverWithout(stop: () => Promise<void>, pid?: () => number): void {
    this.#essentials.unshift(stop);
    if (pid) this.#companion = pid;
  }

  /** A bug: the state of this process cannot be trusted, so it ends, together with what must not outlive it. */
  #fail(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): void {
    this.#log.fatal(
      { err: error },
      origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception',
    );
    if (this.#failed) return;
    this.#failed = this.#begun = true;
    this.#limit();
    void (async () => {
      for (const stop of this.#essentials) await stop().catch(() => undefined);
      process.exit(1);
    })();
  }

  #limit(): void {
    const limit = this.#failed ? LIMIT : this.#delay + LIMIT;
    setTimeout(() => {
      this.#log.error('the shutdown took too long');
      process.exit(1);
    }, limit).unref();
    this.#watchdog.limit(limit + FORCE_AFTER);
  }
}

function exitAfter(stopped: Promise<void>): void {
  stopped.then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
}
