import { setTimeout as sleep } from 'node:timers/promises';
import { about, Loop } from '../async/loop.ts';
import type { Logger } from '../logger.ts';
import { connectClient } from './client.ts';
import type { DatabaseClient } from './confirmed-client.ts';
import type { DatabaseIdentity } from './identity.ts';
import { type Place, placeOf } from './place.ts';
import { sessionLimits } from './session.ts';

/** How long connecting, and each answer, may take: without an answer, reads go to the primary. Milliseconds. */
const TIME_LIMIT = 2000;
/** Before the next connection. Milliseconds. */
const PAUSE = 500;

/** How far a primary had come: a replica that has replayed as much has everything that was acknowledged by then. */
export interface WalPosition {
  /** How far its write-ahead log was on disk, in bytes from the beginning. */
  wal: number;
  place: Place;
}

const FLUSHED = {
  name: 'wal-flushed',
  text: `select (pg_current_wal_flush_lsn() - '0/0')::double precision as wal`,
};

export interface PrimaryPositionOptions {
  databaseUrl: string;
  identity: DatabaseIdentity;
  /** How long the connection is used at most. Milliseconds. */
  maxAge: number;
  /** Resolves when the feed has made sure, from now on, that the database is the one of its epoch. */
  reopened: () => Promise<void>;
  log: Logger;
}

/** Asks the primary, on a connection of its own, how far its write-ahead log is on disk: once for all who ask together. */
export class PrimaryPosition extends Loop {
  readonly #options: PrimaryPositionOptions;
  #client: DatabaseClient | undefined;
  #place: Place | undefined;
  #asking: Promise<unknown> = Promise.resolve();
  #next: Promise<WalPosition | undefined> | undefined;
  #isFailing = false;

  constructor(options: PrimaryPositionOptions) {
    super({
      work: () => this.#connect(),
      pause: () => about(PAUSE),
      onFailed: (error) => this.#told(error),
    });
    this.#options = options;
  }

  /** Undefined while it is not known. */
  get place(): Place | undefined {
    return this.#place;
  }

  /**
   * The position, asked after the call. While one statement is in progress, all further callers wait for the next one.
   * @returns undefined if it cannot be found out
   */
  flushed(): Promise<WalPosition | undefined> {
    this.#next ??= this.#asking.then(() => {
      this.#next = undefined;
      const asked = this.#ask();
      this.#asking = asked;
      return asked;
    });
    return this.#next;
  }

  async #ask(): Promise<WalPosition | undefined> {
    const [client, place] = [this.#client, this.#place];
    if (!client || !place) return undefined;
    try {
      const { rows } = await client.query<{ wal: number }>(FLUSHED);
      await this.#options.identity.settle(client);
      const [row] = rows;
      return row && { wal: row.wal, place };
    } catch {
      // Ended, not cut off: that the primary is slow is no sign that the address leads elsewhere.
      void client.end().catch(() => undefined);
      return undefined;
    }
  }

  /** Keeps one connection until it breaks, is too old, or leads to another database than the process uses. */
  async #connect(): Promise<void> {
    const { databaseUrl, identity, maxAge, reopened } = this.#options;
    const client = await connectClient(databaseUrl, {
      name: 'tidings-position',
      settings: sessionLimits({ statement: TIME_LIMIT, lock: TIME_LIMIT, idleInTransaction: 10_000 }),
      connectTimeout: TIME_LIMIT,
      queryTimeout: TIME_LIMIT,
      identity,
    });
    const ended = new AbortController();
    client.once('end', () => ended.abort());
    const over = AbortSignal.any([this.signal, ended.signal]);
    const isOver = new Promise<void>((resolve) => over.addEventListener('abort', () => resolve()));
    try {
      if (over.aborted) return;
      const place = await Promise.race([reopened().then(() => placeOf(client, TIME_LIMIT)), isOver]);
      if (!place) return;
      [this.#client, this.#place] = [client, place];
      this.#isFailing = false;
      await sleep(about(maxAge), undefined, { signal: over }).catch(() => undefined);
    } finally {
      [this.#client, this.#place] = [undefined, undefined];
      void client.end().catch(() => undefined);
    }
  }

  #told(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#options.log.warn(
      { err: error },
      'the position of the primary cannot be found out: everything is read from it; retrying',
    );
  }
}
