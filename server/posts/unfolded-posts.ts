import type { Database } from '../database/connection.ts';
import { FOLD } from '../text/fold.ts';
import { Folding } from './folding.ts';
import { PostBacklog } from './post-backlog.ts';

/** Which posts (`posts p`) are not folded, or by another version's fold. The number stands in the index `posts_unfolded_idx`. */
export const UNFOLDED = `p.search_fold is distinct from ${FOLD}`;

/**
 * Folds the posts that are not folded yet: those that were there before searches had an index of folded text, and those that
 * a node of a version before writes during an upgrade.
 */
export class UnfoldedPosts extends PostBacklog {
  /**
   * @param onFailed told of what is tried again in a second
   * @param mayWrite asked before each piece
   */
  constructor(db: Database, onFailed: (error: unknown) => void, mayWrite?: () => boolean) {
    const folding = new Folding(db);
    super(
      db,
      UNFOLDED,
      async () => (await folding.piece(UNFOLDED, { wait: false })).posts,
      onFailed,
      mayWrite,
    );
  }
}
