import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import type { Identity } from '../identity.ts';
import { sessionHasEnded } from './live-sessions.ts';
import { isLive } from './present.ts';

/** Until the transaction ends, the session does not. @throws {AppError} 401 */
export async function requireLiveSession(tx: Transaction, { id, sessionId }: Identity): Promise<void> {
  const [found] = await select(
    tx,
    `select 1 from sessions s where s.id = $1 and s.user_id = $2 and ${isLive} for share`,
    sessionId,
    id,
  );
  if (!found) throw sessionHasEnded();
}
