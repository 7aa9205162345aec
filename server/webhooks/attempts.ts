import { User } from '../../models/index.ts';
import { about } from '../async/loop.ts';
import { select } from '../database/select.ts';
import type { Logger } from '../logger.ts';
import { webhookPaused } from '../mail/messages.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Seal } from '../mail/seal.ts';
import { isSuspended } from '../moderation/policy.ts';
import type { Metrics } from '../ops/metrics.ts';
import {
  type Gone,
  type Next,
  type NextEvents,
  nextMessage,
  type NextMessage,
  type Place,
  resetMessage,
} from './next-message.ts';
import { tellOwner } from './owner-mails.ts';
import type { Pause } from './present.ts';
import { LEASE, type Run } from './run.ts';
import type { Posted, WebhookSender } from './sender.ts';
import { openSecrets } from './signature.ts';
import type { WebhookStatements } from './statements.ts';

/** How long one that has nothing to send waits for an event before its position is written. Seconds. */
const WAIT = 20;
/** Beyond so many events that are not for it, its position is written before it waits: a wait that fails does not lose it. */
const FAR = 100;
/** The longest pause between two attempts, and how long a webhook may fail before it is paused. Milliseconds. */
const MOST_PAUSE = 3_600_000;
const FAILING_LIMIT = 24 * 3_600_000;
/** Beyond so long without an attempt it has not gone on failing: its owner was suspended, or no node was there. Milliseconds. */
const FAILURE_GAP = 2 * MOST_PAUSE;
/** Failures that are kept of each webhook. */
const KEPT_FAILURES = 20;
/** How long a webhook is left to other nodes whose secret this one cannot read. Milliseconds. */
const UNREADABLE = 60_000;
/** How old what was found may be when it is posted. Milliseconds. */
const FRESH = 1000;

export interface WebhookAttemptsOptions {
  statements: WebhookStatements;
  nextEvents: NextEvents;
  sender: WebhookSender;
  seal: Seal;
  mails: Outbox;
  /** Whether nothing more is to be posted. */
  isStopping: () => boolean;
  /** The pause after the first attempt that failed: twice as long each time. Milliseconds. */
  retry: number;
  log: Logger;
  metrics: Pick<Metrics, 'webhookDeliveries'>;
}

/** A webhook at the beginning of an attempt. */
interface Hook extends Place {
  url: string;
  secret: Buffer;
  previous: Buffer | null;
  version: number;
  attempts: number;
  is_failing: boolean;
  /** Why the log did not reach back to where it stood: it is still to be told so. */
  reset: string | null;
}

/** A message that was posted. */
interface Attempt extends Posted {
  hook: Hook;
  message: NextMessage;
}

/** What a look at a webhook has found. */
interface Found {
  hook: Hook;
  secrets: readonly string[];
  next: Next;
  /** By the clock of `performance`. Milliseconds. */
  at: number;
}

/**
 * What is done for a webhook that this process works: a look at what there is for it, its post, and what came of that. Each
 * write says which run it is of, so one whose lease has been taken moves nothing.
 */
export class WebhookAttempts {
  readonly #options: WebhookAttemptsOptions;

  constructor(options: WebhookAttemptsOptions) {
    this.#options = options;
  }

  /** Sends the next message, or waits for one. @returns whether to go on */
  async step(run: Run): Promise<boolean> {
    const { sender, statements } = this.#options;
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
    let written = hook.position;
    if (after - written > FAR) {
      await statements.write(run, hook.version, 'position = $4', after);
      written = after;
    }
    const waited = await this.#next(run, { ...hook, position: after }, WAIT);
    // What has come is looked at anew, by whatever holds then. So that a quiet webhook never falls out of the log:
    if (waited && !('reason' in waited) && waited.body === undefined && waited.position > written)
      await statements.write(run, hook.version, 'position = $4', waited.position);
    return true;
  }

  /** What there is for a webhook, as it is now: what was deleted or hidden since the last attempt is not sent. */
  async #look(run: Run): Promise<Found | undefined> {
    const { seal, statements } = this.#options;
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
    // Another node could not read its secret: nothing was posted in vain.
    if (hook.is_failing && hook.attempts === 0)
      await statements.write(run, hook.version, 'failing_since = null');
    const next = hook.reset === null ? await this.#next(run, hook, 0) : resetMessage(hook, hook.reset);
    return { hook, secrets, next, at };
  }

  /** Posts what was found, in the turn. @returns what came of it, or whether to go on if nothing was posted */
  async #post(run: Run, found: Found): Promise<Attempt | boolean> {
    const { isStopping, sender } = this.#options;
    if (isStopping()) return false;
    const isFresh = performance.now() - found.at <= FRESH && !run.wake.signal.aborted;
    // It has waited for its turn.
    const latest = isFresh ? found : await this.#look(run);
    if (!latest) return false;
    const { hook, secrets, next } = latest;
    if (next?.body === undefined) return true;
    // Another process must not post it meanwhile.
    if (performance.now() + sender.longest > run.leaseEnds) return true;
    const destination = { userId: run.userId, url: hook.url, secrets };
    return { hook, message: next, ...(await sender.post(destination, next, run.stop.signal)) };
  }

  /** Another node may have the secret of the service: it is paused only if none has had it for a day. */
  async #leaveUnreadable(run: Run): Promise<void> {
    const [row] = await this.#options.statements.one<{ is_over: boolean }>(
      `update webhooks
       set failing_since = coalesce(failing_since, now()), next_attempt_at = now() + $4 * interval '1 millisecond'
       where id = $1 and lease_holder = $2 and version = $3
       returning greatest(failing_since, (select max(f.happened_at) from webhook_failures f where f.webhook_id = $1))
         < now() - $5 * interval '1 millisecond' as is_over`,
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
    const [hook] = await this.#options.statements.one<Hook>(
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

  /** Where the webhook goes on is written before it is told so: each attempt tells the same, under the same id. */
  async #beginReset(run: Run, { version }: Hook, { epoch, head, reason }: Gone): Promise<void> {
    await this.#options.statements.write(
      run,
      version,
      'epoch = $4, position = $5, reset = $6',
      epoch,
      head,
      reason,
    );
  }

  #next(run: Run, place: Place, wait: number): Promise<Next> {
    return nextMessage(this.#options.nextEvents, run.id, place, wait, run.wake.signal);
  }

  /** Writes what came of an attempt. @returns whether to go on */
  async #settle(run: Run, { hook, message, outcome, retryAfter }: Attempt): Promise<boolean> {
    const { log, metrics, retry, statements } = this.#options;
    const { version, attempts } = hook;
    const { id: messageId, epoch, position } = message;
    // The node stops, or another run has it: nothing is known of the receiver.
    if (!outcome.delivered && run.stop.signal.aborted) return false;
    metrics.webhookDeliveries.inc({ outcome: outcome.delivered ? 'delivered' : 'failed' });
    if (outcome.delivered) {
      await statements.write(
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
    const backoff = Math.min(MOST_PAUSE, retry * 2 ** Math.min(attempts, 20));
    const pause = Math.max(about(backoff), Math.min(MOST_PAUSE, retryAfter));
    const isOver = await statements.transaction(async (tx) => {
      const [row] = await select<{ is_over: boolean }>(
        tx,
        `update webhooks
         set attempts = attempts + 1,
           failing_since = case
             when exists (select from webhook_failures f
                          where f.webhook_id = $1 and f.happened_at > now() - $6 * interval '1 millisecond')
             then coalesce(failing_since, now()) else now() end,
           next_attempt_at = now() + $4 * interval '1 millisecond'
         where id = $1 and lease_holder = $2 and version = $3
         returning failing_since < now() - $5 * interval '1 millisecond' as is_over`,
        run.id,
        run.holder,
        version,
        pause,
        FAILING_LIMIT,
        FAILURE_GAP,
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
    const { log, mails, metrics, statements } = this.#options;
    await statements.transaction(async (tx) => {
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
}
