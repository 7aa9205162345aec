import { QueryTypes } from 'sequelize';
import { select } from '../database/select.ts';
import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { AuthContext } from './context.ts';
import { isLogin, type LoginSession, presentSession, sessionColumns, type SessionRow } from './present.ts';
import type { ListSessions } from './schemas.ts';
import { readSessionCursor, type SessionCursor, writeSessionCursor } from './session-cursor.ts';

/** A page of a user's sessions, the newest login first. */
export interface SessionPage {
  sessions: LoginSession[];
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

/** Before the newest. */
const START: SessionCursor = {
  moment: Number.MAX_SAFE_INTEGER,
  id: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
};

interface Row extends SessionRow {
  moment: number;
}

/**
 * The sessions of a user that have not ended.
 * @throws {AppError} 422 for a cursor of another list
 */
export async function sessionPage(
  ctx: Pick<AuthContext, 'db'>,
  user: Identity,
  { limit, cursor: given }: ListSessions,
  requester: Requester,
): Promise<SessionPage> {
  const { moment, id } = given === undefined ? START : readSessionCursor(given);
  const rows = await ctx.db.share(requester).query<Row>(
    `select ${sessionColumns},
            (extract(epoch from created_at) * 1000000)::bigint as moment
     from sessions
     where user_id = $1 and revoked_at is null and expires_at > now() and ${isLogin}
       and (created_at, id) < (timestamptz 'epoch' + $2 * interval '1 microsecond', $3::uuid)
     order by created_at desc, id desc limit $4`,
    { type: QueryTypes.SELECT, bind: [user.id, moment, id, limit + 1] },
  );
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    sessions: page.map((row) => presentSession(row, user)),
    next: rows.length > limit && last ? writeSessionCursor(last) : undefined,
  };
}

/**
 * Ends one of a user's sessions: its tokens stop working and its connections are closed, on every node.
 * @throws {AppError} 404 unless it is one of the user's that has not ended; an API key is none: its end is noted
 */
export async function endSession(
  ctx: Pick<AuthContext, 'db' | 'revocations'>,
  user: Identity,
  sessionId: string,
  requester: Requester,
): Promise<void> {
  await ctx.db.share(requester).transaction(async (tx) => {
    const [key] = await select(tx, 'select 1 from api_keys where session_id = $1', sessionId);
    if (key || !(await ctx.revocations.revoke(tx, user.id, { sessionId })))
      throw new AppError('not_found', `You have no session ${sessionId}.`);
  });
}
