import { AppError, invalid } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { type Acted, type ActContext, lockForAct } from './act.ts';
import { audit } from './audit.ts';
import { type CaseTarget, dismissCase, resolveCase } from './cases.ts';
import type { ModerationContext } from './context.ts';
import { actsOnPosts, lockPost } from './posts.ts';
import type { AuditView } from './present.ts';
import { auditEntry } from './queries.ts';
import type { TakeAction } from './schemas.ts';
import { actsOnUsers } from './suspensions.ts';

/**
 * Does what a moderator wants done: the change, its entry in the audit log and its events are one transaction.
 * @throws {AppError} 422 for a field that the action does not have; 404 no such post or user; 403 for what is one's own,
 *   or of a higher role; 409 if it does not apply
 */
export async function takeAction(
  ctx: ModerationContext,
  moderator: Identity,
  input: TakeAction,
  requester: Requester,
): Promise<AuditView> {
  const { action, reason } = input;
  requireFields(input);
  return ctx.db.share(requester).transaction(async (tx) => {
    const done = await act({ tx, revocations: ctx.revocations }, moderator, input);
    const id = await audit(tx, { action, actorId: moderator.id, reason, ...done });
    const view = await auditEntry(tx, id);
    await done.tell?.();
    await done.resolved?.();
    return view;
  });
}

/** Done to whom, and to which of their posts. */
type Done = Acted & { userId: number; postId?: number; resolved?: (() => Promise<void>) | undefined };

/** What settles whatever was reported; the others take something back. */
const resolving: readonly TakeAction['action'][] = ['remove', 'lock', 'suspend'];

async function act(ctx: ActContext, moderator: Identity, input: TakeAction): Promise<Done> {
  const { action, post_id: postId = 0, user_id: userId = 0, ...rest } = input;
  const { tx } = ctx;
  const target: CaseTarget = input.post_id === undefined ? { userId } : { postId };
  if (action === 'dismiss') return { ...target, ...(await dismissCase(tx, moderator.id, target)) };
  const resolve = async () => (resolving.includes(action) ? resolveCase(tx, target, action) : undefined);
  if (isOnPost(action)) {
    const { post, owner } = await lockPost(tx, moderator.id, postId);
    const resolved = await resolve();
    return { ...(await actsOnPosts[action](ctx, post, rest)), userId: owner.id, postId, resolved };
  }
  const user = await lockForAct(tx, moderator.id, userId);
  if (!user) throw new AppError('not_found', `There is no user ${userId}.`);
  const resolved = await resolve();
  return { ...(await actsOnUsers[action](ctx, user, rest)), userId, resolved };
}

function isOnPost(action: TakeAction['action']): action is keyof typeof actsOnPosts {
  return action in actsOnPosts;
}

/** @throws {AppError} 422 */
function requireFields({ action, post_id, user_id, until }: TakeAction): void {
  const needed = isOnPost(action) ? 'post_id' : 'user_id';
  const errors = [];
  if (action !== 'dismiss' && (needed === 'post_id' ? post_id : user_id) === undefined)
    errors.push({
      loc: ['body', needed],
      msg: `"${needed}" is required with "${action}"`,
      type: 'any.required',
    });
  if (until !== undefined && action !== 'suspend')
    errors.push({
      loc: ['body', 'until'],
      msg: `"until" is not allowed with "${action}"`,
      type: 'any.unknown',
    });
  if (errors.length > 0) throw invalid(errors, errors.length);
}
