import { setTimeout as sleep } from 'node:timers/promises';
import { about, Loop } from '../async/loop.ts';
import { WokenLoop } from '../async/woken-loop.ts';
import type { Database } from '../database/connection.ts';
import { isSuspended } from '../moderation/policy.ts';
import { WebhookAttempts, type WebhookAttemptsOptions } from './attempts.ts';
import { halt, LEASE, type Run } from './run.ts';
import { WebhookStatements } from './statements.ts';

/** How often it is looked for webhooks that no node works. Milliseconds. */
const LOOK = 1000;
/** How often a node says that it still works its webhooks, and learns what has changed. Milliseconds. */
const RENEW = 4000;
/** Webhooks that a process works at once, and for how long while others may wait. Milliseconds. */
const MAX_HELD = 500;
const TURN = 60_000;
/** How long an attempt may go on when the node stops, and how long leases may then take to be given up. Milliseconds. */
const GRACE = 2000;
const RELEASE_LIMIT = 1000;

/** SQL: whether a webhook `w` is to be worked and no run has it. */
const isDue =
  '(w.paused is null and w.next_attempt_at <= now() and (w.lease_until is null or w.lease_until < now()))';

export interface WebhookWorkerOptions extends Omit<WebhookAttemptsOptions, 'isStopping' | 'statements'> {
  db: Database;
  /** Whether anything may be written and heard at present. */
  may: () => boolean;
}

/**
 * Sends webhooks their events. Each is a consumer of the log with a cursor in the database: one run holds its lease, takes
 * the event after the cursor as a socket of its user would hear it at this moment, posts it, and moves the cursor when it is
 * answered. So events come in order and at least once, one at a time. If the node fails, another one takes over when the lease
 * ends; what a run does whose lease has been taken counts for nothing. Redis has no part in it.
 */
export class WebhookWorker {
  readonly #options: WebhookWorkerOptions;
  readonly #runs = new Map<string, Run>();
  readonly #claims: WokenLoop;
  readonly #renewals: Loop;
  readonly #statements: WebhookStatements;
  readonly #attempts: WebhookAttempts;
  #stopped: Promise<void> | undefined;

  constructor(options: WebhookWorkerOptions) {
    this.#options = options;
    this.#statements = new WebhookStatements(options.db);
    this.#attempts = new WebhookAttempts({
      ...options,
      statements: this.#statements,
      isStopping: () => this.#stopped !== undefined,
    });
    const onFailed = (error: unknown) =>
      options.log.debug({ err: error }, 'webhooks could not be read; retrying');
    this.#claims = new WokenLoop({ next: () => this.#claim(), may: options.may, every: LOOK, onFailed });
    this.#renewals = new Loop({ work: () => this.#renew(), pause: () => about(RENEW), onFailed });
  }

  /** Webhooks that this process works. */
  get held(): number {
    return this.#runs.size;
  }

  start(): void {
    this.#claims.start();
    this.#renewals.start(RENEW);
  }

  /** Begins nothing more, and leaves what it works to other nodes: when it has been answered or has had its time. */
  dismiss(): void {
    this.#stopped ??= Promise.race([this.#end(), this.#endByForce()]);
  }

  /** Resolves when that is done, or has taken too long: then the leases lapse. */
  async stop(): Promise<void> {
    this.dismiss();
    await this.#stopped;
  }

  async #end(): Promise<void> {
    for (const { wake } of this.#runs.values()) wake.abort();
    await Promise.all([this.#claims.stop(), this.#renewals.stop()]);
    await Promise.all([...this.#runs.values()].map(({ ended }) => ended));
  }

  async #endByForce(): Promise<void> {
    await sleep(GRACE, undefined, { ref: false });
    this.#runs.forEach(halt);
    this.#options.sender.close();
    await sleep(RELEASE_LIMIT, undefined, { ref: false });
  }

  /** A webhook has been made, or its user has changed it. */
  changed(id: string): void {
    this.#runs.get(id)?.wake.abort();
    this.#claims.wake();
  }

  /** @returns whether there may be more */
  async #claim(): Promise<boolean> {
    const room = Math.min(50, MAX_HELD - this.#runs.size);
    if (room <= 0) return false;
    // Of users with many webhooks those behind the first wait for everyone else's.
    const claimed = await this.#statements.all<{ id: string; user_id: number; lease_holder: string }>(
      `with due as (
         select w.id, row_number() over (partition by w.user_id order by w.next_attempt_at) as rank
         from webhooks w join users u on u.id = w.user_id
         where ${isDue} and u.deleted_at is null and not ${isSuspended}),
       free as (
         select w.id from due join webhooks w on w.id = due.id
         where ${isDue} order by due.rank, w.next_attempt_at limit $2 for update of w skip locked)
       update webhooks w
       set lease_holder = gen_random_uuid(), lease_until = now() + $1 * interval '1 millisecond', next_attempt_at = now()
       from free where w.id = free.id returning w.id, w.user_id, w.lease_holder`,
      LEASE,
      room,
    );
    for (const { id, user_id, lease_holder } of claimed) {
      const run: Run = {
        id,
        holder: lease_holder,
        userId: user_id,
        since: Date.now(),
        version: 0,
        leaseEnds: 0,
        stop: new AbortController(),
        wake: new AbortController(),
        ended: Promise.resolve(),
      };
      // The one before has given its lease up and is about to end, or has lost it.
      const before = this.#runs.get(id);
      if (before) halt(before);
      this.#runs.set(id, run);
      run.ended = this.#work(run, before?.ended);
    }
    return claimed.length === room;
  }

  async #renew(): Promise<void> {
    const runs = [...this.#runs.values()];
    if (runs.length === 0 || !this.#options.may()) return;
    const leaseEnds = performance.now() + LEASE;
    const rows = await this.#statements.all<{ holder: string; version: number; active: boolean }>(
      `update webhooks set lease_until = now() + $2 * interval '1 millisecond'
       where lease_holder = any($1::uuid[])
       returning lease_holder as holder, version, paused is null as active`,
      runs.map(({ holder }) => holder),
      LEASE,
    );
    const held = new Map(rows.map((row) => [row.holder, row]));
    for (const run of runs) {
      const row = held.get(run.holder);
      if (row) {
        run.leaseEnds = Math.max(run.leaseEnds, leaseEnds);
        if (row.version !== run.version || !row.active) run.wake.abort();
      }
      // Deleted, or another one's by now: nothing more may be posted.
      else halt(run);
    }
  }

  async #work(run: Run, before: Promise<void> | undefined): Promise<void> {
    await before;
    try {
      while (!this.#stopped && this.#options.may() && (await this.#attempts.step(run)))
        if (this.#runs.size >= MAX_HELD && Date.now() - run.since > TURN) break;
    } catch (error) {
      this.#options.log.debug(
        { err: error, webhook_id: run.id },
        'a webhook waits for the log or the database',
      );
    }
    try {
      await this.#statements.one(
        'update webhooks set lease_holder = null, lease_until = null where id = $1 and lease_holder = $2',
        run.id,
        run.holder,
      );
    } catch (error) {
      // Until its end it is nobody's.
      this.#options.log.debug(
        { err: error, webhook_id: run.id },
        'the lease of a webhook could not be given up',
      );
    }
    if (this.#runs.get(run.id) === run) this.#runs.delete(run.id);
  }
}
