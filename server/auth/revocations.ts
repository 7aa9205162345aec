import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import type { EndOfSessions } from '../identity.ts';

/**
 * Ends sessions. The row is committed together with its cause (a logout, a new password, a deleted user), and every
 * node reads it when it polls; `announced` is a faster notification of the same.
 */
export class Revocations {
  readonly #listeners: ((end: EndOfSessions) => void)[] = [];

  /** Called in this process as soon as the transaction has ended, before its command is answered. */
  onAnnounced(listener: (end: EndOfSessions) => void): void {
    this.#listeners.push(listener);
  }

  /** @returns whether any session has ended by it */
  async revoke(
    tx: Transaction,
    userId: number,
    only: { sessionId?: string; exceptSessionId?: string; code?: 'suspended' } = {},
  ): Promise<boolean> {
    const end: EndOfSessions = {
      userId,
      sessionId: only.sessionId ?? null,
      exceptSessionId: only.exceptSessionId ?? null,
      code: only.code ?? null,
    };
    const ended = await select(
      tx,
      `update sessions set revoked_at = clock_timestamp()
       where user_id = $1 and revoked_at is null and id = coalesce($2, id) and id is distinct from $3 returning 1`,
      userId,
      end.sessionId,
      end.exceptSessionId,
    );
    await select(
      tx,
      'insert into revocations (user_id, session_id, except_session_id, code) values ($1, $2, $3, $4)',
      userId,
      end.sessionId,
      end.exceptSessionId,
      end.code,
    );
    tx.afterCommit(() => {
      for (const listener of this.#listeners) listener(end);
    });
    return ended.length > 0;
  }
}
