import type { Transaction } from 'sequelize';
import { WokenLoop } from '../async/woken-loop.ts';
import type { Database } from '../database/connection.ts';
import { select } from '../database/select.ts';
import { passwordReset, RESET_LIFETIME } from '../mail/messages.ts';
import { type Outbox, secondsUntilMail } from '../mail/outbox.ts';
import { createToken } from '../mail/tokens.ts';
import { emailKeysOf } from '../text/email.ts';

/** How often it is looked for what other nodes have left. Milliseconds. */
const LOOK = 1000;

export interface ResetRequestsOptions {
  db: Database;
  mails: Outbox;
  mayWrite: () => boolean;
  onFailed: (error: unknown) => void;
}

/**
 * Requests for a new password. A request only notes the address that it names, so its answer takes as long for one that
 * is nobody's; any node looks for the account afterwards, and writes the mail in the transaction that deletes the note.
 */
export class ResetRequests extends WokenLoop {
  readonly #mails: Outbox;

  constructor({ db, mails, mayWrite, onFailed }: ResetRequestsOptions) {
    super({
      next: () => db.transaction((tx) => this.#takeNext(tx)),
      may: mayWrite,
      every: LOOK,
      onFailed,
    });
    this.#mails = mails;
  }

  override start(): void {
    if (this.#mails.enabled) super.start();
  }

  /** @returns whether there was one */
  async #takeNext(tx: Transaction): Promise<boolean> {
    const [request] = await select<{ email: string }>(
      tx,
      `delete from reset_requests where id = (
         select id from reset_requests order by id limit 1 for update skip locked) returning email`,
    );
    if (!request) return false;
    const [user] = await select<{
      id: number;
      username: string;
      email: string;
      emailVerifiedAt: Date | null;
    }>(
      tx,
      `select id, username, email, email_verified_at as "emailVerifiedAt" from users
       where coalesce(email_key, lower(email collate "C")) = any ($1::text[]) and deleted_at is null
       order by array_position($1::text[], coalesce(email_key, lower(email collate "C"))) limit 1 for no key update`,
      emailKeysOf(request.email),
    );
    if (!user || (await secondsUntilMail(tx, user.id, 'password_reset')) > 0) return true;
    if (!(await this.#mails.maySend('password_reset', user))) return true;
    const { email } = user;
    const subject = { userId: user.id, purpose: 'reset', email, proves: email } as const;
    const token = await createToken(tx, subject, RESET_LIFETIME);
    await this.#mails.queue(tx, passwordReset(user, this.#mails.publicUrl, token));
    return true;
  }
}
