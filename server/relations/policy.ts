import { AppError } from '../errors.ts';

/**
 * The refusal of a write that a block forbids. One text, regardless of who blocked the other and of what was to be
 * written, so that nobody learns who did.
 */
export function refusedByBlock(): AppError {
  return new AppError('forbidden', 'You may not do this.');
}

/**
 * SQL: the condition that one of two users blocks the other. Each is a number, a column or a parameter. A block locks
 * the rows of both users, so a writer that asks after it has locked its own user sees every block that was committed
 * before.
 */
export function blockedBetween(one: string, other: string): string {
  return `exists (
    select from relations b where b.kind = 'block' and (b.user_id, b.target_id) in ((${one}, ${other}), (${other}, ${one})))`;
}

/**
 * SQL: a query of the ids of the users whose posts a viewer is not shown: those that they block, that block them, and
 * that they mute. As it is committed: blocks and mutes take effect in pages at once.
 * @param viewer a number, a column or a parameter
 * @param options.mutes false in the list of one author's posts, which the viewer has asked for
 */
export function hiddenAuthors(viewer: string, { mutes = true } = {}): string {
  const kinds = mutes ? `b.kind in ('block', 'mute')` : `b.kind = 'block'`;
  return `select b.target_id from relations b where b.user_id = ${viewer} and ${kinds}
    union all select b.user_id from relations b where b.target_id = ${viewer} and b.kind = 'block'`;
}

/**
 * SQL: a query of the ids of the users whose posts are on a viewer's home page: the viewer, and whom they follow as the
 * stream has it. A follow that is committed and not yet numbered is not in it, since the stream does not bring its
 * posts either.
 * @param viewer a number, a column or a parameter
 */
export function homeAuthors(viewer: string): string {
  return `select ${viewer}::bigint
    union all
    select f.target_id from stream_relations f where f.user_id = ${viewer} and f.kind = 'follow'`;
}
