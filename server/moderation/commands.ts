import { AppError, invalid } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { type Acted, type ActContext, lockForAct } from './act.ts';
import { audit } from './audit.ts';
import { type CaseTarget, dismissCase, type ResolvedCase, resolveCase } from './cases.ts';
import type { ModerationContext } from './context.ts';
import { lockNotifications, type Notice, notify } from './notices.ts';
import { actsOnPosts, lockPost } from './posts.ts';
import type { AuditView } from './present.ts';
import { auditEntry } from './queries.ts';
import type { TakeAction } from './schemas.ts';
import { actsOnUsers } from './users.ts';

/**
 * Does what a moderator wants done: the change, its entry in the audit log, its notifications and its events are one
 * transaction.
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
    await notify(tx, [...noticeOf(done, input, id), ...othersOf(done.resolved, moderator)]);
    await done.tell?.();
    await done.resolved?.tell();
    tx.afterCommit(() => ctx.metrics.moderationActions.inc({ action }));
    return view;
  });
}

/** Done to whom, and to which of their posts. */
type Done = Acted & {
  userId: number;
  postId?: number;
  /** The first post of its thread. */
  threadId?: number;
  resolved?: ResolvedCase | undefined;
};

/** What settles whatever was reported; the others take something back. */
const resolving: readonly TakeAction['action'][] = ['remove', 'lock', 'warn', 'suspend'];

/** Whom it was done to is told what, and why. */
function noticeOf(
  { userId, postId, threadId }: Done,
  { action, reason }: TakeAction,
  entry: number,
): Notice[] {
  if (action === 'dismiss') return [];
  const place = { post_id: postId ?? null, thread_id: threadId ?? null };
  return [{ user_id: userId, group_key: `moderation:${entry}`, act: action, ...place, reason }];
}

/** What reporters are told who have not resolved the case themselves. */
function othersOf(resolved: ResolvedCase | undefined, moderator: Identity): Notice[] {
  return (resolved?.notices ?? []).filter(({ user_id }) => user_id !== moderator.id);
}

async function act(ctx: ActContext, moderator: Identity, input: TakeAction): Promise<Done> {
  const { action, post_id: postId = 0, user_id: userId = 0, ...rest } = input;
  const { tx } = ctx;
  const target: CaseTarget = input.post_id === undefined ? { userId } : { postId };
  if (action === 'dismiss') return { ...target, ...(await dismissCase(tx, moderator.id, target)) };
  const resolve = async () => (resolving.includes(action) ? resolveCase(tx, target, action) : undefined);
  if (isOnPost(action)) {
    const { post, owner } = await lockPost(tx, moderator.id, postId);
    const resolved = await resolve();
    if (action === 'remove' || action === 'restore') {
      const readers = othersOf(resolved, moderator).map(({ user_id }) => user_id);
      await lockNotifications(tx, [postId], [owner.id, ...readers]);
    }
    const acted = await actsOnPosts[action](ctx, post, rest);
    return { ...acted, userId: owner.id, postId, threadId: post.rootId ?? postId, resolved };
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
