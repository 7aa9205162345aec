import { Vote } from '../../models/index.ts';
import type { Identity } from '../identity.ts';
import { AppError, userIsGone } from '../errors.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { refusedByBlock } from '../relations/policy.ts';
import type { VoteContext } from './context.ts';

export interface VoteView {
  post_id: number;
  votes: number;
  rev: number;
  voted: boolean;
}

/**
 * Writes a vote: casts it or takes it back. Repeating it is an error only if `strict`.
 * @param requester whose turn it takes
 * @param options.address where the user is
 * @throws {AppError} 404 no such post; 403 if its owner blocks the user or the other way round; 429 too many votes for
 *   the post from that address; if strict, 409 already voted and 404 no vote to take back
 */
export async function castVote(
  ctx: VoteContext,
  user: Identity,
  postId: number,
  up: boolean,
  requester: Requester,
  { strict, address }: { strict: boolean; address: string | undefined },
): Promise<VoteView> {
  const cast = async () => {
    const result = await ctx.voteWriter.cast(user.id, postId, up, requester.senders);
    return { ...result, added: result.outcome === 'added' };
  };
  const { outcome, votes, rev } =
    up && ctx.voteLimit
      ? await ctx.voteLimit.attempt({ userId: user.id, postId, address }, cast, async () => {
          const found = await ctx.db
            .share(requester)
            .run(() => Vote.findOne({ where: { userId: user.id, postId } }));
          return found !== null;
        })
      : await cast();
  if (outcome === 'no_user') throw userIsGone();
  if (outcome === 'no_post') throw new AppError('not_found', `There is no post ${postId}.`);
  if (outcome === 'blocked') throw refusedByBlock();
  if (strict && outcome === 'already')
    throw new AppError('conflict', `You have already voted on post ${postId}.`);
  if (strict && outcome === 'absent')
    throw new AppError('not_found', `You have no vote on post ${postId} to take back.`);
  return { post_id: postId, votes, rev, voted: up };
}
