import { DueWork } from '../async/due-work.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Connections } from '../delivery/connections.ts';
import type { LiveSessions } from './live-sessions.ts';

/** Sessions that are looked up at once. */
const PAGE = 500;
/** Until sessions that could not be looked up are tried again. Milliseconds. */
const RETRY = 100;

export interface SessionRecheckOptions {
  connections: Connections;
  liveSessions: LiveSessions;
  log: Logger;
}

/**
 * Checks the session of each long-lived connection of this node in the database, and ends those whose session has
 * ended. Used when more sessions ended at once than are listed one by one: the cost depends only on the node's
 * connections.
 */
export class SessionRecheck {
  readonly #options: SessionRecheckOptions;
  #due = false;
  #stopped = false;
  readonly #checks = new DueWork(
    () => this.#due && !this.#stopped,
    () => this.#checkAll(),
  );

  constructor(options: SessionRecheckOptions) {
    this.#options = options;
  }

  /** Starts a check, or schedules another one after the one in progress. The session cache is cleared now. */
  request(): void {
    this.#options.liveSessions.forgetAll();
    this.#due = true;
    this.#checks.begin();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #checkAll(): Promise<void> {
    this.#due = false;
    const all = this.#options.connections.all().filter(({ withoutSession }) => !withoutSession);
    for (let at = 0; at < all.length && !this.#stopped; at += PAGE) {
      const known = await Promise.all(all.slice(at, at + PAGE).map((connection) => this.#check(connection)));
      if (known.every(Boolean)) continue;
      this.#due = true;
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }

  /** @returns whether it is known by now if the session lives */
  async #check({
    identity,
  }: {
    identity: { id: number; sessionId: string; expiresAt: number };
  }): Promise<boolean> {
    const { connections, liveSessions, log } = this.#options;
    try {
      // Nobody's flood may hold up the end of a session: each is a sender of its own.
      await liveSessions.require(identity, { fresh: true, senders: () => [identity.sessionId] });
      return true;
    } catch (error) {
      const ended = error instanceof AppError && error.code === 'unauthorized';
      if (ended)
        connections.endSessions({
          userId: identity.id,
          sessionId: identity.sessionId,
          exceptSessionId: null,
        });
      else log.debug({ err: error }, 'a session could not be checked; retrying');
      return ended;
    }
  }
}
