import { QueryTypes } from 'sequelize';
import { Loop } from '../async/loop.ts';
import { type Database, databaseErrorCode } from '../database/connection.ts';
import { emailKey } from '../text/email.ts';

/** SQLSTATE 23505. */
const UNIQUE_VIOLATION = '23505';
/** Accounts that are looked at together. */
const PIECE = 200;
/** How often to check whether there are any. Milliseconds. */
const INTERVAL = 10_000;

/**
 * Gives accounts the key of their e-mail address that lack it: those with letters beyond ASCII that were there before the
 * keys, and those that a node of a version before signs up during an upgrade. A node does it before it serves and then every ten
 * seconds. An account whose address is another one's in another form keeps its own spelling as its key (`exactKey`).
 */
export class UnkeyedAccounts {
  readonly #db: Database;
  readonly #loop: Loop;

  /**
   * @param onFailed told of what is tried again in ten seconds
   * @param mayWrite asked each time but the first, which decides whether the node can serve
   */
  constructor(db: Database, onFailed: (error: unknown) => void, mayWrite: () => boolean = () => true) {
    this.#db = db;
    this.#loop = new Loop({
      work: () => (mayWrite() ? this.giveKeys() : Promise.resolve()),
      pause: () => INTERVAL,
      onFailed,
    });
  }

  /** Resolves when there are none. */
  async start(): Promise<void> {
    await this.giveKeys();
    this.#loop.start(INTERVAL);
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async giveKeys(): Promise<void> {
    let rows: { id: number; email: string }[];
    do {
      rows = await this.#db.share('service').query<{ id: number; email: string }>(
        `select id, email from users where email_key is null and octet_length(email) <> char_length(email)
         order by id limit ${PIECE}`,
        { type: QueryTypes.SELECT },
      );
      for (const row of rows) await this.#giveKey(row);
    } while (rows.length > 0 && !this.#loop.signal.aborted);
  }

  async #giveKey({ id, email }: { id: number; email: string }): Promise<void> {
    try {
      await this.#setKey(id, email, emailKey(email));
    } catch (error) {
      if (databaseErrorCode(error) !== UNIQUE_VIOLATION) throw error;
      await this.#setKey(id, email, exactKey(email));
    }
  }

  async #setKey(id: number, email: string, key: string): Promise<void> {
    await this.#db.share('service').query('update users set email_key = $3 where id = $1 and email = $2', {
      type: QueryTypes.RAW,
      bind: [id, email, key],
    });
  }
}

/** The key of an account that is meant only by its exact address. No address begins with a space. */
function exactKey(email: string): string {
  return ` ${email}`;
}
