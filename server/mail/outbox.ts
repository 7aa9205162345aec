import { randomUUID } from 'node:crypto';
import { QueryTypes, type Transaction } from 'sequelize';
import type { User } from '../../models/index.ts';
import type { MailSender } from '../config/mail-config.ts';
import { select } from '../database/select.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { Seal } from './seal.ts';

/** What a mail is about. */
export type MailKind =
  | 'password_changed'
  | 'password_reset'
  | 'email_verification'
  | 'email_change'
  | 'email_restored'
  | 'webhook_added'
  | 'webhook_paused'
  | 'second_factor_on'
  | 'second_factor_off'
  | 'recovery_code_used'
  | 'codes_refused'
  | 'identity_linked'
  | 'key_created';

/** A mail to the owner of an account. */
export interface NewMail {
  userId: number;
  kind: MailKind;
  to: string;
  subject: string;
  /** Plain text. */
  text: string;
  /** For how long it is tried to send it. Milliseconds. */
  lifetime: number;
}

/** The address of an account, and when it was proved. */
type Addressee = Pick<User, 'email' | 'emailVerifiedAt'>;

/** What is sealed of a mail until it has been sent. */
export type MailContent = Pick<NewMail, 'to' | 'subject' | 'text'>;

export interface OutboxOptions {
  /** Whether there is a way to send mails. */
  enabled: boolean;
  seal: Seal;
  /** Who mails are from: their ids have the domain. */
  from: MailSender | undefined;
  /** Where the service is for its users, without a slash at the end. */
  publicUrl: string;
  /** Counts a mail to an address that is not proved. Says whether it may be sent. */
  count: (kind: MailKind, email: string) => Promise<boolean>;
}

/** Mails of one kind that an account is sent in an hour. */
const MAILS_AN_HOUR = 3;

const LAST_OF_THE_HOUR =
  'This is the third mail of this kind within an hour. If it happens again in this hour, you are sent no mail.';

/**
 * Mails that are to be sent. A mail is written in the transaction of what it tells, and sent by any node after the commit
 * (see `MailWorker`). Its `Message-ID` is part of the row: it is the same for each try.
 */
export class Outbox {
  readonly enabled: boolean;
  readonly publicUrl: string;
  readonly #seal: Seal;
  readonly #domain: string;
  readonly #count: OutboxOptions['count'];
  #onQueued: () => void = () => undefined;

  constructor({ enabled, publicUrl, seal, from, count }: OutboxOptions) {
    this.enabled = enabled;
    this.publicUrl = publicUrl;
    this.#seal = seal;
    this.#domain = from?.address.replace(/^.*@/, '') ?? 'localhost';
    this.#count = count;
  }

  /** Called when a mail of this node is committed. */
  onQueued(listener: () => void): void {
    this.#onQueued = listener;
  }

  /**
   * Whether a mail of this kind may be sent to the address of an account. One that is not proved may be a stranger's: it is
   * sent six of a kind in an hour, whatever accounts have it one after the other. Counts the mail.
   */
  async maySend(kind: MailKind, { email, emailVerifiedAt }: Addressee): Promise<boolean> {
    if (!this.enabled) return false;
    return emailVerifiedAt !== null || this.#count(kind, email);
  }

  /**
   * Tells the owner of an account what has happened to it, with the transaction: three times an hour of one kind, of which the
   * last says so. Of another kind it is told nevertheless.
   */
  async tell(tx: Transaction, owner: Addressee, mail: NewMail): Promise<void> {
    if (!this.enabled) return;
    const [recent] = await select<{ count: number }>(
      tx,
      `select count(*) from mails where user_id = $1 and kind = $2 and created_at > now() - interval '1 hour'`,
      mail.userId,
      mail.kind,
    );
    const before = recent?.count ?? 0;
    if (before >= MAILS_AN_HOUR || !(await this.maySend(mail.kind, owner))) return;
    const isLast = before === MAILS_AN_HOUR - 1;
    await this.queue(tx, isLast ? { ...mail, text: `${mail.text}\n${LAST_OF_THE_HOUR}\n` } : mail);
  }

  /** Writes a mail with the transaction. Does nothing where no mail can be sent. */
  async queue(tx: Transaction, { userId, kind, lifetime, to, subject, text }: NewMail): Promise<void> {
    if (!this.enabled) return;
    const content: MailContent = { to, subject, text };
    await sequelizeOf(tx).query(
      `insert into mails (user_id, kind, message_id, content, expires_at)
       values ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')`,
      {
        type: QueryTypes.RAW,
        transaction: tx,
        bind: [
          userId,
          kind,
          `<${randomUUID()}@${this.#domain}>`,
          this.#seal.close(JSON.stringify(content)),
          lifetime,
        ],
      },
    );
    tx.afterCommit(() => this.#onQueued());
  }
}

/** How long it takes until an account may be sent another mail of this kind. Seconds; 0: now. */
export async function secondsUntilMail(tx: Transaction, userId: number, kind: MailKind): Promise<number> {
  const [last] = await sequelizeOf(tx).query<{ seconds: number }>(
    `select ceil(extract(epoch from created_at + interval '1 hour' - now()))::integer as seconds from mails
     where user_id = $1 and kind = $2 and created_at > now() - interval '1 hour'
     order by created_at desc offset $3 limit 1`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [userId, kind, MAILS_AN_HOUR - 1] },
  );
  return last ? Math.max(1, last.seconds) : 0;
}

/** Deletes the mails to an account that is deleted. */
export async function forgetMails(tx: Transaction, userId: number): Promise<void> {
  await sequelizeOf(tx).query('delete from mails where user_id = $1', {
    type: QueryTypes.RAW,
    transaction: tx,
    bind: [userId],
  });
}
