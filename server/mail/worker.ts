import { QueryTypes } from 'sequelize';
import { about } from '../async/loop.ts';
import { WokenLoop } from '../async/woken-loop.ts';
import type { Database } from '../database/connection.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { MailContent } from './outbox.ts';
import type { Seal } from './seal.ts';
import { isRefusal, reasonOf, type Transport } from './transport.ts';

/** How often it is looked for what other nodes have left, and how long a mail server that failed is left alone. Milliseconds. */
const LOOK = 1000;
/** How long one try may take. Milliseconds. */
const LIMIT = 40_000;
/** How long a claimed mail is left to its node: longer than a try. Milliseconds. */
const LEASE = 60_000;
/** Until a mail that failed is tried again: twice as long each time, up to a quarter of an hour. Milliseconds. */
const [RETRY, MOST_RETRY] = [10_000, 15 * 60_000];
/** How long a try may go on when the node stops. Milliseconds. */
const GRACE = 2000;

interface ClaimedMail {
  id: number;
  message_id: string;
  content: Buffer;
  created_at: Date;
  attempts: number;
}

export interface MailWorkerOptions {
  db: Database;
  seal: Seal;
  transport: Transport;
  mayWrite: () => boolean;
  log: Logger;
  metrics: Pick<Metrics, 'mails'>;
}

/**
 * Sends mails, one at a time on each node, first those that expire first: links before what is only told. A mail is claimed
 * for a minute: if its node fails meanwhile, another one sends it again, with the same `Message-ID`. So each is sent at least
 * once, unless the mail server refuses it or its time is up. What it holds is deleted when it has been sent.
 */
export class MailWorker extends WokenLoop {
  readonly #options: MailWorkerOptions;
  readonly #ending = new AbortController();

  constructor(options: MailWorkerOptions) {
    super({
      next: () => this.#sendNext(),
      may: options.mayWrite,
      every: LOOK,
      onFailed: (error) => options.log.debug({ err: error }, 'mails could not be read; retrying'),
    });
    this.#options = options;
  }

  override async stop(): Promise<void> {
    const grace = setTimeout(() => this.#ending.abort(), GRACE);
    await super.stop();
    clearTimeout(grace);
  }

  /** @returns whether the next one is worth a try at once */
  async #sendNext(): Promise<boolean> {
    const mail = await this.#claim();
    if (!mail) return false;
    const { seal, transport, log, metrics } = this.#options;
    const opened = seal.open(mail.content);
    if (opened === undefined) {
      log.warn(
        { mail_id: mail.id },
        'a mail cannot be read: the JWT_SECRET that it was sealed with is not configured; retrying',
      );
      metrics.mails.inc({ outcome: 'failed' });
      await this.#postpone(mail);
      return true;
    }
    try {
      const content = JSON.parse(opened) as MailContent;
      const signal = AbortSignal.any([AbortSignal.timeout(LIMIT), this.#ending.signal]);
      await transport({ ...content, messageId: mail.message_id, date: mail.created_at }, signal);
    } catch (error) {
      // Not the message as it is, nor the answer of the mail server: they may have the address.
      const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
      const facts = {
        mail_id: mail.id,
        attempt: mail.attempts,
        code,
        response_code: responseCode,
        reason: reasonOf(error),
      };
      if (isRefusal(error)) {
        log.warn(facts, 'the mail server has refused a mail');
        await this.#finish(mail, 'refused');
        return true;
      }
      log.warn(facts, 'a mail could not be sent; retrying');
      metrics.mails.inc({ outcome: 'failed' });
      await this.#postpone(mail);
      return false;
    }
    await this.#finish(mail, 'sent');
    return true;
  }

  async #claim(): Promise<ClaimedMail | undefined> {
    const [mail] = await this.#query<ClaimedMail>(
      `with due as (
         select id from mails where content is not null and next_attempt_at <= now() and expires_at > now()
         order by expires_at limit 1 for update skip locked)
       update mails m set attempts = attempts + 1, next_attempt_at = now() + $1 * interval '1 millisecond'
       from due where m.id = due.id returning m.id, m.message_id, m.content, m.created_at, m.attempts`,
      [LEASE],
    );
    return mail;
  }

  async #finish({ id }: ClaimedMail, outcome: 'sent' | 'refused'): Promise<void> {
    await this.#query('update mails set content = null, refused = $2 where id = $1', [
      id,
      outcome === 'refused',
    ]);
    this.#options.metrics.mails.inc({ outcome });
  }

  async #postpone({ id, attempts }: ClaimedMail): Promise<void> {
    const pause = about(Math.min(MOST_RETRY, RETRY * 2 ** Math.min(attempts - 1, 10)));
    await this.#query(
      `update mails set next_attempt_at = now() + $2 * interval '1 millisecond' where id = $1`,
      [id, pause],
    );
  }

  #query<T extends object>(sql: string, bind: unknown[]): Promise<T[]> {
    return this.#options.db.share('service').query<T>(sql, { type: QueryTypes.SELECT, bind });
  }
}
