import pg, { DatabaseError } from 'pg';
import { cutOff, toldProcessId } from '../library-internals/postgres.ts';
import { nameOfPrepared } from './prepared.ts';
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

/**
 * Statements are prepared anew when their connection is four times as old: a plan that was made for a few rows would
 * otherwise be kept until the server has analyzed a table that grows fast, which takes minutes.
 */
const REPLANNED_AT = 4;

/** The function of PostgreSQL that refuses a statement whose types somebody has changed since it was prepared. */
const PLAN_CHECK = 'RevalidateCachedQuery';

/** SQLSTATE of all that is asked of a transaction after an error. */
const FAILED_TRANSACTION = '25P02';

/** It was refused in a transaction, which is to be tried again. SQLSTATE 40001. */
class OutdatedPlan extends Error {
  override readonly name = 'OutdatedPlan';
  readonly code = '40001';

  constructor(cause: Error) {
    super('A prepared statement would answer with other types than before', { cause });
  }
}

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
  /** How many times plans were found to be outdated. */
  #outdated = 0;
  /** What the names end with of the statements that are prepared. */
  #plans = '';

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
      const answer: Callback = (error, result) => {
        this.#noteFailure(error);
        const refused = this.#verdict(text, result);
        callback(error ?? refused ?? null, (error ?? refused) ? undefined : result);
      };
      const plain = (settle: Callback) => query(...args.with(at, settle));
      const name = typeof asked === 'string' && Array.isArray(args[1]) ? nameOfPrepared(asked) : undefined;
      if (name === undefined) return plain(answer) as never;
      const plans = this.#plansOfNow();
      const run = () =>
        query({ name: `${name}-${plans}`, text, values: args[1] }, this.#orPlain(plain, answer));
      if (plans === this.#plans) return run() as never;
      this.#plans = plans;
      // In a transaction that has failed this fails, as what follows will: then they are kept for a while longer.
      return query('deallocate all', run) as never;
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

  /** What the names of prepared statements end with, as long as their plans are kept. */
  #plansOfNow(): string {
    const age = (performance.now() - this.#openedAt) / 1000;
    return `${Math.floor(Math.log(1 + age) / Math.log(REPLANNED_AT))}-${this.#outdated}`;
  }

  /** Runs a statement again as it is, where it was prepared before somebody changed its types: nothing was done. */
  #orPlain(plain: (settle: Callback) => unknown, answer: Callback): Callback {
    return (error, result) => {
      if (!(error instanceof DatabaseError) || error.routine !== PLAN_CHECK) {
        answer(error, result);
        return;
      }
      this.#outdated += 1;
      plain((failure, anew) => {
        const hasEnded = failure instanceof DatabaseError && failure.code === FAILED_TRANSACTION;
        answer(hasEnded ? new OutdatedPlan(error) : failure, anew);
      });
    };
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
