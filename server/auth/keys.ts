import { randomUUID } from 'node:crypto';
import { QueryTypes } from 'sequelize';
import { select } from '../database/select.ts';
import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { keyCreated } from '../mail/messages.ts';
import { audit } from '../moderation/audit.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { newApiKey } from './api-keys.ts';
import type { AuthContext } from './context.ts';
import { type ApiKey, isLive, keyColumns, type KeyRow, keyTables, presentKey } from './present.ts';
import type { CreateKey } from './schemas.ts';
import { requireNotSuspended } from './suspension.ts';

/** Keys that one user may have at once. */
export const MAX_KEYS = 20;

/** An API key as it is shown once. */
export interface NewApiKey extends ApiKey {
  key: string;
}

/** The API keys of a user that have not ended, the newest first. */
export async function apiKeys(
  ctx: Pick<AuthContext, 'db'>,
  user: Identity,
  requester: Requester,
): Promise<ApiKey[]> {
  const rows = await ctx.db.share(requester).query<KeyRow>(
    `select ${keyColumns} from ${keyTables} where s.user_id = $1 and ${isLive}
     order by s.created_at desc, s.id desc`,
    { type: QueryTypes.SELECT, bind: [user.id] },
  );
  return rows.map(presentKey);
}

/**
 * Makes an API key: a session without refresh tokens, so that whatever ends sessions ends keys. The owner is told by mail.
 * @throws {AppError} 401 if the session that asks has just ended, 403 for a wrong password or a suspended user, 409 for a
 *   user who has as many as may be, 429 after too many wrong passwords
 */
export async function createKey(
  ctx: Pick<AuthContext, 'db' | 'mails' | 'ownPassword'>,
  user: Identity,
  { name, scopes, expires_in_days, password }: CreateKey,
  requester: Requester,
): Promise<NewApiKey> {
  return ctx.ownPassword.change(user, password, requester, async (tx, owner) => {
    await requireNotSuspended(ctx, tx, user.id);
    const live = await select(
      tx,
      `select 1 from ${keyTables} where s.user_id = $1 and ${isLive} limit ${MAX_KEYS}`,
      user.id,
    );
    if (live.length === MAX_KEYS)
      throw new AppError('conflict', `You have ${MAX_KEYS} API keys. Revoke one that you do not need.`);
    const { key, hash } = newApiKey();
    const sessionId = randomUUID();
    await select(
      tx,
      `insert into sessions (id, user_id, expires_at) values ($1, $2, now() + $3 * interval '1 day')`,
      sessionId,
      user.id,
      expires_in_days,
    );
    await select(
      tx,
      'insert into api_keys (session_id, hash, name, scopes) values ($1, $2, $3, $4)',
      sessionId,
      hash,
      name,
      [...new Set(scopes)],
    );
    const [row] = await select<KeyRow>(
      tx,
      `select ${keyColumns} from ${keyTables} where s.id = $1`,
      sessionId,
    );
    if (!row) throw new Error('an API key was not written');
    await audit(tx, { action: 'create_key', actorId: user.id, userId: user.id, reason: '' });
    await ctx.mails.tell(tx, owner, keyCreated(owner, ctx.mails.publicUrl));
    return { ...presentKey(row), key };
  });
}

/**
 * Revokes one of a user's API keys: it stops working and its connections are closed, on every node.
 * @throws {AppError} 404 unless it is one of the user's that has not ended
 */
export async function revokeKey(
  ctx: Pick<AuthContext, 'db' | 'revocations'>,
  user: Identity,
  sessionId: string,
  requester: Requester,
): Promise<void> {
  await ctx.db.share(requester).transaction(async (tx) => {
    const [found] = await select(
      tx,
      `select 1 from ${keyTables} where s.user_id = $1 and s.id = $2 and ${isLive} for no key update of s`,
      user.id,
      sessionId,
    );
    if (!found) throw new AppError('not_found', `You have no API key ${sessionId}.`);
    await ctx.revocations.revoke(tx, user.id, { sessionId });
    // A key may have a year to go: without its row there is nothing to keep for so long.
    await select(tx, 'delete from sessions where id = $1', sessionId);
    await audit(tx, { action: 'revoke_key', actorId: user.id, userId: user.id, reason: '' });
  });
}
