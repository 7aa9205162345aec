import { literal, Op, type Transaction } from 'sequelize';
import { Revocation, Session } from '../../models/index.ts';

/** Which sessions have ended: one, or all of a user's but perhaps one. */
export interface EndOfSessions {
  userId: number;
  /** Null: all of them. */
  sessionId: string | null;
  exceptSessionId: string | null;
}

/** Whether a session is among those that have ended. */
export function ends(end: EndOfSessions, userId: number, sessionId: string): boolean {
  return (
    end.userId === userId &&
    (end.sessionId === null || end.sessionId === sessionId) &&
    end.exceptSessionId !== sessionId
  );
}

/**
 * Ends sessions. The row is committed with its reason (a logout, a new password, a deleted user) and is read by every
 * node on its tail; `announced` is the fast road to the same.
 */
export class Revocations {
  readonly #listeners: ((end: EndOfSessions) => void)[] = [];

  /** Called in this process as soon as the transaction has ended, before its command is answered. */
  onAnnounced(listener: (end: EndOfSessions) => void): void {
    this.#listeners.push(listener);
  }

  async revoke(
    tx: Transaction,
    userId: number,
    only: { sessionId?: string; exceptSessionId?: string } = {},
  ): Promise<void> {
    const end: EndOfSessions = {
      userId,
      sessionId: only.sessionId ?? null,
      exceptSessionId: only.exceptSessionId ?? null,
    };
    await Session.update(
      { revokedAt: literal('clock_timestamp()') },
      {
        transaction: tx,
        where: {
          userId,
          revokedAt: null,
          ...(only.sessionId === undefined ? {} : { id: only.sessionId }),
          ...(only.exceptSessionId === undefined ? {} : { id: { [Op.ne]: only.exceptSessionId } }),
        },
      },
    );
    await Revocation.create({ ...end }, { transaction: tx });
    tx.afterCommit(() => {
      for (const listener of this.#listeners) listener(end);
    });
  }
}
