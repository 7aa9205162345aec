import type { Transaction } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { AppError, invalid } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { type Acted, type ActContext, lockForAct } from './act.ts';
import { audit } from './audit.ts';
import { type CaseTargets, dismissCase, type ResolvedCase, resolveCases } from './cases.ts';
import type { ModerationContext } from './context.ts';
import { lockNotifications, type Notice, noticesOf, notify, readersOf } from './notices.ts';
import { actsOnPosts, lockPost } from './posts.ts';
import type { AuditView } from './present.ts';
import { auditEntry } from './queries.ts';
import { firstEntryOf, type Range, type RemovedPiece, removePiece } from './removals.ts';
import type { TakeAction } from './schemas.ts';
import { actsOnUsers } from './users.ts';

/**
 * Does what a moderator wants done: the change, its entry in the audit log, its notifications and its events are one
 * transaction. The removal of all posts of a user is several, each whole: what has been removed by then stays so if the
 * process ends or the time for an answer is up, and to repeat the action removes the rest.
 * @returns the entry in the audit log; of such a removal the first one, with how many posts are removed in all, and whether
 *   there are no more
 * @throws {AppError} 422 for a field that the action does not have; 404 no such post or user; 403 for what is one's own,
 *   or of a higher role; 409 if it does not apply
 */
export async function takeAction(
  ctx: ModerationContext,
  moderator: Identity,
  input: TakeAction,
  requester: Requester,
): Promise<AuditView> {
  requireFields(input);
  const db = ctx.db.share(requester);
  const view =
    input.posts === undefined
      ? await db.transaction(async (tx) => {
          const done = await act({ tx, revocations: ctx.revocations }, moderator, input);
          return complete(tx, moderator, input, done, true);
        })
      : await removeAll(db, moderator, input, ctx.timeLimits.removal);
  ctx.metrics.moderationActions.inc({ action: input.action });
  return view;
}

async function removeAll(
  db: DatabaseShare,
  moderator: Identity,
  input: TakeAction,
  timeLimit: number,
): Promise<AuditView> {
  const end = performance.now() + timeLimit;
  let view: AuditView | undefined;
  let posts = 0;
  let range: Range | undefined;
  do {
    const [entry, piece]: [AuditView, RemovedPiece] = await db.transaction(async (tx) => {
      const done = await removePiece(tx, moderator.id, input.user_id ?? 0, range);
      return [await complete(tx, moderator, input, done, posts === 0 && done.posts > 0), done];
    });
    view ??= entry;
    posts += piece.posts;
    range = piece.rest;
  } while (range && performance.now() < end);
  return { ...view, posts, complete: range === undefined };
}

/** Writes what goes with an act that has been done, as the last statements of its transaction. */
async function complete(
  tx: Transaction,
  moderator: Identity,
  input: TakeAction,
  done: Done,
  tellsUser: boolean,
): Promise<AuditView> {
  const { action, reason } = input;
  const { userId, postId, details, resolved, tell } = done;
  const about = { userId, ...(postId !== undefined && { postId }), ...(details && { details }) };
  const id = await audit(tx, { action, actorId: moderator.id, reason, ...about });
  const view = await auditEntry(tx, id);
  const first = input.posts === undefined ? id : await firstEntryOf(tx, done.userId, id);
  const own = tellsUser ? noticeOf(done, input, first) : [];
  await notify(tx, [...own, ...noticesOf(resolved, moderator.id)]);
  await tell?.();
  for (const one of resolved) await one.tell();
  return view;
}

/** Done to whom, and to which of their posts. */
interface Done extends Acted {
  userId: number;
  postId?: number;
  /** The first post of its thread. */
  threadId?: number;
  resolved: ResolvedCase[];
}

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

async function act(ctx: ActContext, moderator: Identity, input: TakeAction): Promise<Done> {
  const { action, post_id: postId, user_id: userId = 0 } = input;
  const { tx } = ctx;
  if (action === 'dismiss') {
    const target = postId === undefined ? { userId } : { postId };
    return { ...target, ...(await dismissCase(tx, moderator.id, target)) };
  }
  const resolve = async (targets: CaseTargets) =>
    resolving.includes(action) ? resolveCases(tx, targets, action) : [];
  if (postId !== undefined && isOnPost(action)) {
    const { post, owner } = await lockPost(tx, moderator.id, postId);
    const resolved = await resolve({ postIds: [postId] });
    if (action === 'remove' || action === 'restore')
      await lockNotifications(tx, [postId], [owner.id, ...readersOf(resolved, moderator.id)]);
    const acted = await actsOnPosts[action](ctx, post, input);
    return { ...acted, userId: owner.id, postId, threadId: post.rootId ?? postId, resolved };
  }
  if (!isOnUser(action)) throw new Error(`"${action}" is done to posts`);
  const user = await lockForAct(tx, moderator.id, userId);
  if (!user) throw new AppError('not_found', `There is no user ${userId}.`);
  const resolved = await resolve({ userId });
  return { ...(await actsOnUsers[action](ctx, user, input)), userId, resolved };
}

function isOnPost(action: TakeAction['action']): action is keyof typeof actsOnPosts {
  return action in actsOnPosts;
}

function isOnUser(action: TakeAction['action']): action is keyof typeof actsOnUsers {
  return action in actsOnUsers;
}

/** @throws {AppError} 422 */
function requireFields({ action, post_id, user_id, until, posts }: TakeAction): void {
  const removesAll = action === 'remove' && user_id !== undefined && posts !== undefined;
  const errors = [];
  const applies = post_id === undefined ? isOnUser(action) || removesAll : isOnPost(action);
  const needed = post_id === undefined ? 'post_id' : 'user_id';
  if (action !== 'dismiss' && !applies)
    errors.push({
      loc: ['body', needed],
      msg: `"${needed}" is required with "${action}"`,
      type: 'any.required',
    });
  for (const [name, value, isAllowed] of [
    ['until', until, action === 'suspend'],
    ['posts', posts, removesAll],
  ] as const)
    if (value !== undefined && !isAllowed)
      errors.push({
        loc: ['body', name],
        msg: `"${name}" is not allowed with "${action}"${name === 'posts' ? ' of one post' : ''}`,
        type: 'any.unknown',
      });
  if (errors.length > 0) throw invalid(errors, errors.length);
}
