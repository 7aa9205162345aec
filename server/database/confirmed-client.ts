import pg from 'pg';
import { cutOff, toldProcessId } from '../library-internals/postgres.ts';
import type { Session } from './session.ts';

/**
 * It is not known whether a change was made, or whether it will be there after a failover: SQLSTATE 40003.
 *
 * PostgreSQL reports the commit of a transaction whose standby did not confirm it as a success, with a warning: a wait for
 * a standby that somebody has cancelled.
 */
class UnconfirmedCommit extends Error {
  override readonly name = 'UnconfirmedCommit';
  readonly code = '40003';

  /**
   * @param waits whether the server continues waiting; else somebody has cancelled the wait
   */
  constructor(waits: boolean) {
    super(
      `The commit was not confirmed by the synchronous standby: ${waits ? 'it still waits' : 'the wait was cancelled'}`,
    );
  }
}

/** A COMMIT was answered with ROLLBACK, as that of a transaction that has failed is, and without an error. SQLSTATE 40000. */
class FalseCommit extends Error {
  override readonly name = 'FalseCommit';
  readonly code = '40000';

  constructor(answer: string) {
    super(`COMMIT was answered with ${answer}: the transaction had failed`);
  }
}

/** The function of PostgreSQL that warns of an unconfirmed commit. The text of the warning is in the language of the server. */
const STANDBY_WAIT = 'SyncRepWaitForLSN';

type Callback = (error: Error | null, result?: unknown) => void;

const connected = new Set<ConfirmedClient>();

/**
 * Gives up what waits for one of these processes of the server. The processes continue, and so does their wait; what
 * was asked of them fails with `UnconfirmedCommit`.
 */
export function giveUp(pids: ReadonlySet<number>): void {
  for (const client of connected)
    if (client.processId !== undefined && pids.has(client.processId))
      cutOff(client, new UnconfirmedCommit(true));
}

/** As others see it. */
export type DatabaseClient = pg.Client & Pick<ConfirmedClient, 'processId' | 'session' | 'isPooled'>;

/**
 * A connection on which a commit that may be lost (not confirmed by a synchronous standby) is an error, whichever
 * statement committed.
 */
export class ConfirmedClient extends pg.Client {
  #unconfirmed = false;
  #broken = false;
  #session: Session | undefined;
  #openedAt = 0;

  constructor(config: pg.ClientConfig) {
    super(config);
    this.once('connect', () => connected.add(this));
    this.once('end', () => {
      this.#broken = true;
      connected.delete(this);
    });
    this.on('error', () => (this.#broken = true));
    this.on('notice', (notice) => {
      if (notice.routine === STANDBY_WAIT) this.#unconfirmed = true;
    });
  }

  /** Whether it may be used again: nothing has been heard of its end, and it has answered what it was asked last. */
  get isUsable(): boolean {
    return !this.#broken;
  }

  /** The process of the server in which statements run, once the connection is open. */
  get processId(): number | undefined {
    return this.#session?.pid;
  }

  /** What was set on the connection when it was opened. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Whether a pooler is between: it reports a process number of its own. */
  get isPooled(): boolean {
    return this.#session?.pid !== toldProcessId(this);
  }

  /** Since when it is open, as `performance.now()` says it. */
  get openedAt(): number {
    return this.#openedAt;
  }

  protected opened(session: Session): void {
    this.#session = session;
    this.#openedAt = performance.now();
  }

  // pg's own has nine signatures, and all of them come through here.
  override query(...args: unknown[]): never {
    const [asked] = args;
    const text = typeof asked === 'string' ? asked : (asked as { text?: string } | undefined)?.text;
    const query = super.query.bind(this) as (...args: unknown[]) => unknown;
    const at = args.findIndex((arg) => typeof arg === 'function');
    const callback = args[at] as Callback | undefined;
    if (callback) {
      args[at] = ((error, result) => {
        this.#noteFailure(error);
        const refused = this.#verdict(text, result);
        callback(error ?? refused ?? null, (error ?? refused) ? undefined : result);
      }) satisfies Callback;
      return query(...args) as never;
    }
    const answered = query(...args) as Promise<unknown>;
    return answered.then(
      (result) => {
        const refused = this.#verdict(text, result);
        if (refused) throw refused;
        return result;
      },
      (error: unknown) => {
        this.#noteFailure(error);
        this.#unconfirmed = false;
        throw error;
      },
    ) as never;
  }

  /** A connection that was reset, or that still has a pending reply, cannot be used again. */
  #noteFailure(error: unknown): void {
    if (!(error instanceof Error)) return;
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET' || error.message === 'Query read timeout')
      this.#broken = true;
  }

  /** Whether a reported success is not one. Checked after each statement, with the warnings that it raised. */
  #verdict(text: string | undefined, result: unknown): Error | undefined {
    const unconfirmed = this.#unconfirmed;
    this.#unconfirmed = false;
    if (unconfirmed) return new UnconfirmedCommit(false);
    const command = (result as { command?: string } | undefined)?.command;
    if (text !== undefined && /^\s*(commit|end)\b/i.test(text) && command !== 'COMMIT')
      return new FalseCommit(command ?? 'nothing');
    return undefined;
  }
}
