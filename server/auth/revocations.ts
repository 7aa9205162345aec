import { literal, Op, type Transaction } from 'sequelize';
import { Revocation, Session } from '../../models/index.ts';
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
    const [ended] = await Session.update(
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
    return ended > 0;
  }
}
