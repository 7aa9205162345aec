import { setTimeout as sleep } from 'node:timers/promises';
import { QueryTypes, type Transaction } from 'sequelize';
import { User } from '../../models/index.ts';
import { about, Loop } from '../async/loop.ts';
import { WokenLoop } from '../async/woken-loop.ts';
import type { Database } from '../database/connection.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { select } from '../database/select.ts';
import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Logger } from '../logger.ts';
import { webhookPaused } from '../mail/messages.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Seal } from '../mail/seal.ts';
import { isSuspended } from '../moderation/policy.ts';
import type { Metrics } from '../ops/metrics.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';
import { tellOwner } from './owner-mails.ts';
import type { Outcome, Pause } from './present.ts';
import type { Message, WebhookSender } from './sender.ts';
import { openSecrets } from './signature.ts';

/** How often it is looked for webhooks that no node works. Milliseconds. */
const LOOK = 1000;
/**
 * How long a webhook is left to a node that says nothing more of it: longer than a post, which begins only if it ends before the
 * lease. Milliseconds.
 */
const LEASE = 20_000;
/** How often a node says that it still works its webhooks, and learns what has changed. Milliseconds. */
const RENEW = 4000;
/** How long one that has nothing to send waits for an event before its position is written. Seconds. */
const WAIT = 20;
/** Webhooks that a process works at once, and for how long while others may wait. Milliseconds. */
const MAX_HELD = 500;
const TURN = 60_000;
/** The longest pause between two attempts, and how long a webhook may fail before it is paused. Milliseconds. */
const MOST_PAUSE = 3_600_000;
const FAILING_LIMIT = 24 * 3_600_000;
/** Failures that are kept of each webhook. */
const KEPT_FAILURES = 20;
/** How long a webhook is left to other nodes whose secret this one cannot read. Milliseconds. */
const UNREADABLE = 60_000;
/** How old what was found may be when it is posted. Milliseconds. */
const FRESH = 1000;
/** Statements of this part at once. */
const STATEMENTS = 3;
/** How long an attempt may go on when the node stops, and how long leases may then take to be given up. Milliseconds. */
const GRACE = 2000;
const RELEASE_LIMIT = 1000;

/** SQL: whether a webhook `w` is to be worked and no run has it. */
const isDue =
  '(w.paused is null and w.next_attempt_at <= now() and (w.lease_until is null or w.lease_until < now()))';

/** An event that somebody may hear, as REST tells it. */
interface HeardEvent {
  seq: number;
  prev: number;
  name: string;
  at: string;
  data: unknown;
}

export interface WebhookWorkerOptions {
  db: Database;
  /**
   * The event after a position that a socket of the user would hear; without one where the log stands for the user.
   * Undefined if the signal ended it.
   * @throws {AppError} 410 with `reason`, `epoch` and `head`; 401, 503
   */
  nextEvents: (
    user: Identity,
    query: { after: number; epoch: string; limit: number; wait: number; topics?: readonly string[] },
    signal: AbortSignal,
  ) => Promise<{ epoch: string; head: number; events: HeardEvent[] } | undefined>;
  sender: WebhookSender;
  seal: Seal;
  mails: Outbox;
  /** Whether anything may be written and heard at present. */
  may: () => boolean;
  /** The pause after the first attempt that failed: twice as long each time. Milliseconds. */
  retry: number;
  log: Logger;
  metrics: Pick<Metrics, 'webhookDeliveries'>;
}

/** A webhook at the beginning of an attempt. */
interface Hook {
  user_id: number;
  url: string;
  topics: string[] | null;
  secret: Buffer;
  previous: Buffer | null;
  version: number;
  epoch: string;
  position: number;
  attempts: number;
  is_failing: boolean;
  /** Why the log did not reach back to where it stood: it is still to be told so. */
  reset: string | null;
}

/** A message, and the position of the webhook once it is delivered. */
interface NextMessage extends Message {
  epoch: string;
  position: number;
}

/** A message that was posted. */
interface Attempt {
  hook: Hook;
  message: NextMessage;
  outcome: Outcome;
}

/** Up to where there is nothing for a webhook. */
interface Nothing {
  body?: never;
  position: number;
}

/** The log does not reach back to where a webhook stands, and where it goes on. */
interface Gone {
  body?: never;
  reason: string;
  epoch: string;
  head: number;
}

/** What a look at a webhook has found. */
interface Found {
  hook: Hook;
  secrets: readonly string[];
  next: NextMessage | Nothing | Gone | undefined;
  /** By the clock of `performance`. Milliseconds. */
  at: number;
}

/** A webhook that this process works. */
interface Run {
  id: string;
  /** Who holds its lease: another for each run, so that one that has lost it can write nothing. */
  holder: string;
  userId: number;
  since: number;
  /** Of the attempt that was begun last. */
  version: number;
  /** Until when no other process takes it, by the clock of `performance`. Milliseconds. */
  leaseEnds: number;
  stop: AbortController;
  /** Ends a wait for events: the webhook has to be looked at. */
  wake: AbortController;
  ended: Promise<void>;
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
  readonly #share: DatabaseShare;
  /** What is for all webhooks of the process takes turns with what is for one. */
  readonly #statements = new FairSemaphore<'all' | 'one'>({ atOnce: STATEMENTS, pathOf: (whose) => [whose] });
  #stopped: Promise<void> | undefined;

  constructor(options: WebhookWorkerOptions) {
    this.#options = options;
    this.#share = options.db.share('webhooks');
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
    const claimed = await this.#select<{ id: string; user_id: number; lease_holder: string }>(
      'all',
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
    const rows = await this.#select<{ holder: string; version: number; active: boolean }>(
      'all',
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
      while (!this.#stopped && this.#options.may() && (await this.#step(run)))
        if (this.#runs.size >= MAX_HELD && Date.now() - run.since > TURN) break;
    } catch (error) {
      this.#options.log.debug(
        { err: error, webhook_id: run.id },
        'a webhook waits for the log or the database',
      );
    }
    try {
      await this.#select(
        'one',
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

  /** Sends the next message, or waits for one. @returns whether to go on */
  async #step(run: Run): Promise<boolean> {
    const { sender } = this.#options;
    const found = await this.#look(run);
    if (!found) return false;
    const { hook, next } = found;
    if (next && 'reason' in next) {
      await this.#beginReset(run, hook, next);
      return true;
    }
    if (next?.body !== undefined) {
      const done = await sender.inTurn(run.userId, run.stop.signal, () => this.#post(run, found));
      return typeof done === 'boolean' ? done : this.#settle(run, done);
    }
    const after = next?.position ?? hook.position;
    const waited = await this.#next(run, { ...hook, position: after }, WAIT);
    // What has come is looked at anew, by whatever holds then. So that a quiet webhook never falls out of the log:
    if (waited && !('reason' in waited) && waited.body === undefined && waited.position > hook.position)
      await this.#write(run, hook.version, 'position = $4', waited.position);
    return true;
  }

  /** What there is for a webhook, as it is now: what was deleted or hidden since the last attempt is not sent. */
  async #look(run: Run): Promise<Found | undefined> {
    const { seal } = this.#options;
    const at = performance.now();
    // Before the webhook is read: what changes from here on ends a wait.
    run.wake = new AbortController();
    const hook = await this.#begin(run);
    if (!hook || run.stop.signal.aborted) return undefined;
    const secrets = openSecrets(seal, hook);
    if (secrets.length === 0) {
      await this.#leaveUnreadable(run);
      return undefined;
    }
    if (!seal.isNewest(hook.secret)) await this.#sealAnew(run, hook, secrets);
    // Another node could not read its secret: nothing was posted in vain.
    if (hook.is_failing && hook.attempts === 0) await this.#write(run, hook.version, 'failing_since = null');
    const next = hook.reset === null ? await this.#next(run, hook, 0) : resetOf(hook, hook.reset);
    return { hook, secrets, next, at };
  }

  /** Posts what was found, in the turn. @returns what came of it, or whether to go on if nothing was posted */
  async #post(run: Run, found: Found): Promise<Attempt | boolean> {
    if (this.#stopped) return false;
    const { sender } = this.#options;
    const isFresh = performance.now() - found.at <= FRESH && !run.wake.signal.aborted;
    // It has waited for its turn.
    const latest = isFresh ? found : await this.#look(run);
    if (!latest) return false;
    const { hook, secrets, next } = latest;
    if (next?.body === undefined) return true;
    // Another process must not post it meanwhile.
    if (performance.now() + sender.longest > run.leaseEnds) return true;
    const destination = { userId: run.userId, url: hook.url, secrets };
    return { hook, message: next, outcome: await sender.post(destination, next, run.stop.signal) };
  }

  /** Another node may have the secret of the service: it is paused only if none has had it for a day. */
  async #leaveUnreadable(run: Run): Promise<void> {
    const [row] = await this.#select<{ is_over: boolean }>(
      'one',
      `update webhooks
       set failing_since = coalesce(failing_since, now()), next_attempt_at = now() + $4 * interval '1 millisecond'
       where id = $1 and lease_holder = $2 and version = $3
       returning failing_since < now() - $5 * interval '1 millisecond' as is_over`,
      run.id,
      run.holder,
      run.version,
      about(UNREADABLE),
      FAILING_LIMIT,
    );
    if (!row) return;
    this.#options.log.warn({ webhook_id: run.id }, 'the secret of a webhook cannot be read');
    if (row.is_over) await this.#pause(run, 'secret');
  }

  /** Whether the webhook is still to be worked, and by this run. What it has is read anew for each attempt. */
  async #begin(run: Run): Promise<Hook | undefined> {
    const leaseEnds = performance.now() + LEASE;
    const [hook] = await this.#select<Hook>(
      'one',
      `update webhooks w set lease_until = now() + $3 * interval '1 millisecond'
       from users u
       where w.id = $1 and w.lease_holder = $2 and w.paused is null and w.next_attempt_at <= now()
         and u.id = w.user_id and u.deleted_at is null and not ${isSuspended}
       returning w.user_id, w.url, w.topics, w.secret,
         case when w.previous_until > now() then w.previous_secret end as previous,
         w.version, w.epoch, w.position, w.attempts, w.failing_since is not null as is_failing, w.reset`,
      run.id,
      run.holder,
      LEASE,
    );
    if (hook) Object.assign(run, { leaseEnds, version: hook.version });
    return hook;
  }

  /** By the newest secret of the service: the one before may go soon, and nothing need be sent until then. */
  async #sealAnew(run: Run, { version }: Hook, [secret = '', previous]: readonly string[]): Promise<void> {
    const { seal } = this.#options;
    await this.#write(
      run,
      version,
      'secret = $4, previous_secret = $5',
      seal.close(secret),
      previous === undefined ? null : seal.close(previous),
    );
  }

  /** Where the webhook goes on is written before it is told so: each attempt tells the same, under the same id. */
  async #beginReset(run: Run, { version }: Hook, { epoch, head, reason }: Gone): Promise<void> {
    await this.#write(run, version, 'epoch = $4, position = $5, reset = $6', epoch, head, reason);
  }

  /** Writes to the webhook of a run, unless its user has changed it meanwhile or another run has it. */
  async #write(run: Run, version: number, changes: string, ...bind: unknown[]): Promise<void> {
    await this.#select(
      'one',
      `update webhooks set ${changes} where id = $1 and lease_holder = $2 and version = $3`,
      run.id,
      run.holder,
      version,
      ...bind,
    );
  }

  /**
   * What follows the position of a webhook: a message, how far there is none, or that the log does not reach back so far.
   * @param wait seconds
   * @returns undefined if it has to be looked at again
   */
  async #next(
    run: Run,
    { user_id, topics, epoch, position }: Hook,
    wait: number,
  ): Promise<NextMessage | Nothing | Gone | undefined> {
    const user = { id: user_id, sessionId: run.id, expiresAt: Infinity };
    const query = { after: position, epoch, limit: 1, wait, ...(topics && { topics }) };
    try {
      const page = await this.#options.nextEvents(user, query, run.wake.signal);
      if (!page) return undefined;
      const [event] = page.events;
      if (!event) return { position: page.head };
      const { seq, prev, name, at, data } = event;
      return {
        id: `${page.epoch}:${seq}`,
        body: JSON.stringify({ type: name, timestamp: at, data, epoch: page.epoch, seq, prev }),
        epoch: page.epoch,
        position: seq,
      };
    } catch (error) {
      if (error instanceof AppError && error.code === 'gone') return error.toProblem() as unknown as Gone;
      throw error;
    }
  }

  /** Writes what came of an attempt. @returns whether to go on */
  async #settle(run: Run, { hook, message, outcome }: Attempt): Promise<boolean> {
    const { log, metrics, retry } = this.#options;
    const { version, attempts } = hook;
    const { id: messageId, epoch, position } = message;
    // The node stops, or another run has it: nothing is known of the receiver.
    if (!outcome.delivered && run.stop.signal.aborted) return false;
    metrics.webhookDeliveries.inc({ outcome: outcome.delivered ? 'delivered' : 'failed' });
    if (outcome.delivered) {
      await this.#write(
        run,
        version,
        `epoch = $4, position = $5, reset = null, attempts = 0, failing_since = null, delivered_at = now()`,
        epoch,
        position,
      );
      return true;
    }
    const { status, reason } = outcome;
    log.info(
      { webhook_id: run.id, status, reason, attempt: attempts + 1 },
      'a webhook could not be delivered',
    );
    const pause = about(Math.min(MOST_PAUSE, retry * 2 ** Math.min(attempts, 20)));
    const isOver = await this.#transaction(async (tx) => {
      const [row] = await select<{ is_over: boolean }>(
        tx,
        `update webhooks
         set attempts = attempts + 1, failing_since = coalesce(failing_since, now()),
           next_attempt_at = now() + $4 * interval '1 millisecond'
         where id = $1 and lease_holder = $2 and version = $3
         returning failing_since < now() - $5 * interval '1 millisecond' as is_over`,
        run.id,
        run.holder,
        version,
        pause,
        FAILING_LIMIT,
      );
      if (!row) return false;
      await select(
        tx,
        'insert into webhook_failures (webhook_id, message_id, reason, status) values ($1, $2, $3, $4)',
        run.id,
        messageId,
        reason,
        status,
      );
      await select(
        tx,
        `delete from webhook_failures where id in (
           select id from webhook_failures where webhook_id = $1 order by id desc offset ${KEPT_FAILURES})`,
        run.id,
      );
      return row.is_over;
    });
    if (status === 410) await this.#pause(run, 'gone');
    else if (isOver) await this.#pause(run, 'failing');
    return false;
  }

  /** Sends nothing any more, and tells the user so. Nothing if the user has changed the webhook meanwhile. */
  async #pause(run: Run, pause: Pause): Promise<void> {
    const { log, mails, metrics } = this.#options;
    await this.#transaction(async (tx) => {
      // Before the webhook, as whatever changes both.
      const user = await User.findByPk(run.userId, { transaction: tx, lock: tx.LOCK.NO_KEY_UPDATE });
      const [row] = await select<{ url: string }>(
        tx,
        `update webhooks set paused = $4
         where id = $1 and lease_holder = $2 and version = $3 and paused is null returning url`,
        run.id,
        run.holder,
        run.version,
        pause,
      );
      if (!row || !user) return;
      log.warn({ webhook_id: run.id, reason: pause }, 'a webhook is paused');
      metrics.webhookDeliveries.inc({ outcome: 'paused' });
      await tellOwner(mails, tx, user, webhookPaused(user, row.url, pause, mails.publicUrl));
    });
  }

  #select<T extends object>(whose: 'all' | 'one', sql: string, ...bind: unknown[]): Promise<T[]> {
    return this.#statements.run(whose, () => this.#share.query<T>(sql, { type: QueryTypes.SELECT, bind }));
  }

  #transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#statements.run('one', () => this.#share.transaction(work));
  }
}

/** Ends what a run does at once, also what is on its way. */
function halt({ stop, wake }: Run): void {
  stop.abort();
  wake.abort();
}

/** The message that tells a webhook that it goes on elsewhere, where it stands already. */
function resetOf({ epoch, position }: Hook, reason: string): NextMessage {
  const reset = { type: 'reset', timestamp: new Date().toISOString(), data: { reason } };
  return {
    id: `${epoch}:${position}:reset`,
    body: JSON.stringify({ ...reset, epoch, seq: position }),
    epoch,
    position,
  };
}
