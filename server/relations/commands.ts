import { randomUUID } from 'node:crypto';
import { QueryTypes } from 'sequelize';
import { wantsRetry } from '../database/connection.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { AppError, invalid, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { announce } from '../log/append.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { rowOf } from '../topics/event-type.ts';
import type { RelationContext } from './context.ts';
import { blockAdded, blockRemoved, followAdded, followRemoved, muteAdded, muteRemoved } from './events.ts';
import { refusedByBlock } from './policy.ts';
import type { RelationKind } from '../topics/event-type.ts';

/** How many a user may follow, block or mute, of each. */
export const MOST_RELATIONS = 5000;

/** What one user is to another, as the one who asked sees it. */
export interface RelationView {
  user_id: number;
  followed: boolean;
  blocked: boolean;
  muted: boolean;
  seq: number;
}

interface Written {
  outcome: 'changed' | 'same' | 'no_actor' | 'no_target' | 'blocked' | 'too_many';
  outbox_id: number | null;
  seq: number | null;
  followed: boolean;
  blocked: boolean;
  muted: boolean;
}

/**
 * Makes a user follow, block or mute another, or ends it. Repeating it changes nothing. A block ends follows both ways.
 * Resolves when the change has its number; a block, when nothing that it forbids is sent to anyone any more.
 * @throws {AppError} 422 for oneself, 404 no such user, 403 a follow that a block forbids, 409 too many, 503 if the
 *   change is saved and gets no number for some seconds
 */
export async function setRelation(
  ctx: RelationContext,
  user: Identity,
  kind: RelationKind,
  targetId: number,
  wanted: boolean,
  requester: Requester,
): Promise<RelationView> {
  if (targetId === user.id) {
    const msg = `You cannot ${kind} yourself`;
    throw invalid([{ loc: ['path', 'id'], msg, type: 'any.invalid' }], 1);
  }
  const db = ctx.db.share(requester);
  const { outcome, outbox_id, seq, followed, blocked, muted } = await write(
    db,
    user.id,
    kind,
    targetId,
    wanted,
  );
  if (outcome === 'no_actor') throw userIsGone();
  if (outcome === 'no_target') throw new AppError('not_found', `There is no user ${targetId}.`);
  if (outcome === 'blocked') throw refusedByBlock();
  if (outcome === 'too_many')
    throw new AppError('conflict', `You can ${kind} at most ${MOST_RELATIONS} users.`);
  if (outcome === 'changed') announce(ctx.db.sequelize);
  const since = outbox_id === null ? (seq ?? 0) : await ctx.changeNumbers.of(user.id, outbox_id, db);
  if (kind === 'block' && wanted) await ctx.changeNumbers.settled();
  return { user_id: targetId, followed, blocked, muted, seq: since };
}

const ATTEMPTS = 4;

async function write(
  db: DatabaseShare,
  actor: number,
  kind: RelationKind,
  target: number,
  wanted: boolean,
): Promise<Written> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [row] = await db.query<Written>('select * from set_relation($1, $2, $3, $4, $5, $6, $7, $8)', {
        type: QueryTypes.SELECT,
        bind: [
          kind,
          actor,
          target,
          wanted,
          MOST_RELATIONS,
          eventsOf(kind, actor, target, wanted),
          [
            followEvents(followRemoved, actor, target, actor),
            followEvents(followRemoved, target, actor, actor),
          ],
          standIns.map((name) => JSON.stringify(name)),
        ],
      });
      if (!row) throw new Error('set_relation gave no row');
      return row;
    } catch (error) {
      if (attempt >= ATTEMPTS || !wantsRetry(error)) throw error;
    }
  }
}

/**
 * What stands for the names of the user and the other one until the database puts them in. Random, so that no name is
 * one.
 */
const standIns = [randomUUID(), randomUUID()];

const named = (id: number, actor: number) => ({ id, username: standIns[id === actor ? 0 : 1] ?? '' });

/** The events of a change, as JSON with stand-ins: the last one is that from which the stream goes by it. */
function eventsOf(kind: RelationKind, actor: number, target: number, wanted: boolean): string {
  if (kind === 'follow') return followEvents(wanted ? followAdded : followRemoved, actor, target, actor);
  const type = {
    block: wanted ? blockAdded : blockRemoved,
    mute: wanted ? muteAdded : muteRemoved,
  }[kind];
  return JSON.stringify(rowOf(type, { userId: actor, target: named(target, actor) }));
}

function followEvents(
  type: typeof followAdded | typeof followRemoved,
  followerId: number,
  followeeId: number,
  actor: number,
): string {
  const follower = named(followerId, actor);
  const followee = named(followeeId, actor);
  return (['followee', 'follower'] as const)
    .map((to) => JSON.stringify(rowOf(type, { follower, followee, to, takesEffect: to === 'follower' })))
    .join(',');
}
