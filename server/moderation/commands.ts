import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { type Acted, type ActContext, type ActInput, lockForAct, type UserAct } from './act.ts';
import { audit } from './audit.ts';
import type { ModerationContext } from './context.ts';
import type { AuditView } from './present.ts';
import { auditEntry } from './queries.ts';
import type { TakeAction } from './schemas.ts';
import { suspend, unsuspend } from './suspensions.ts';

const onUsers: Record<TakeAction['action'], UserAct> = { suspend, unsuspend };

/**
 * Does what a moderator wants done: the change, its entry in the audit log and its events are one transaction.
 * @throws {AppError} 404 no such user; 403 for a user of one's own or a higher role; 409 if it does not apply
 */
export async function takeAction(
  ctx: ModerationContext,
  moderator: Identity,
  { action, user_id: userId, ...input }: TakeAction,
  requester: Requester,
): Promise<AuditView> {
  const db = ctx.db.share(requester);
  return db.transaction(async (tx) => {
    const acted = await actOnUser(
      { tx, revocations: ctx.revocations },
      moderator,
      userId,
      onUsers[action],
      input,
    );
    const { reason } = input;
    const id = await audit(tx, { action, actorId: moderator.id, userId, reason, ...acted });
    const view = await auditEntry(tx, id);
    await acted.tell?.();
    return view;
  });
}

async function actOnUser(
  ctx: ActContext,
  moderator: Identity,
  userId: number,
  act: UserAct,
  input: ActInput,
): Promise<Acted> {
  const user = await lockForAct(ctx.tx, moderator.id, userId);
  if (!user) throw new AppError('not_found', `There is no user ${userId}.`);
  return act(ctx, user, input);
}
