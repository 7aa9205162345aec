import { QueryTypes } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { LOCKED, WriteBatcher } from '../database/write-batcher.ts';
import { unavailable } from '../errors.ts';
import type { Tally } from '../protocol.ts';

/** What became of one vote. */
export interface VoteResult {
  outcome: 'added' | 'already' | 'removed' | 'absent' | 'no_post' | 'no_user' | 'blocked';
  votes: number;
  replies: number;
  rev: number;
}

interface VoteInput {
  userId: number;
  postId: number;
  up: boolean;
}

interface ResultRow extends Omit<VoteResult, 'outcome'> {
  outcome: Exclude<VoteResult['outcome'], 'blocked'> | 'held';
  ord: number;
  post_id: number;
  published: boolean;
  blocked: boolean;
}

/** Votes in one statement at most, and votes that wait at most, of everyone. */
const BATCH = 500;
const MAX_WAITING = 20_000;

/**
 * Writes votes that arrive together in one statement. A popular post is one hot row: with a transaction per vote its
 * voters queue for the row lock, each for the length of a commit; here they share one.
 *
 * A vote by a user or on a post that is locked, as while one is edited or an account deleted, is cast separately. What
 * its user says of the post meanwhile waits with it, since one statement sees no order.
 */
export class VoteWriter {
  readonly #db: DatabaseShare;
  readonly #onCommitted: (tallies: Tally[]) => void;
  readonly #writes: WriteBatcher<VoteInput, VoteResult>;

  /**
   * @param onCommitted told the changed tallies of published posts after each commit
   * @param onRefused called for each vote that is refused since too many wait
   * @param most votes that wait at most
   */
  constructor(
    db: DatabaseShare,
    onCommitted: (tallies: Tally[]) => void,
    onRefused: () => void = () => undefined,
    most = MAX_WAITING,
  ) {
    this.#db = db;
    this.#onCommitted = onCommitted;
    this.#writes = new WriteBatcher({
      atOnce: 1,
      most: BATCH,
      mostWaiting: most,
      refusal: () => {
        onRefused();
        return unavailable('Too many votes are waiting.', 1);
      },
      write: (votes, patient) => this.#write(votes, patient),
      lockOf: ({ postId }) => postId,
      keyOf: ({ userId, postId }) => `${userId}:${postId}`,
    });
  }

  /** Votes that wait to be cast. */
  get waiting(): number {
    return this.#writes.waiting;
  }

  /**
   * Casts one vote or takes it back. Resolves after the commit.
   * @param senders whose share of the queue it takes
   * @throws {AppError} 503
   */
  cast(userId: number, postId: number, up: boolean, senders: readonly string[]): Promise<VoteResult> {
    return this.#writes.write({ userId, postId, up }, senders);
  }

  async #write(batch: readonly VoteInput[], patient: boolean): Promise<(VoteResult | typeof LOCKED)[]> {
    const rows = await this.#db.query<ResultRow>('select * from cast_votes($1, $2, $3, $4)', {
      type: QueryTypes.SELECT,
      bind: [
        batch.map(({ userId }) => userId),
        batch.map(({ postId }) => postId),
        batch.map(({ up }) => up),
        patient,
      ],
    });
    const results: (VoteResult | typeof LOCKED)[] = [];
    const changed = new Map<number, Tally>();
    for (const { ord, post_id, published, blocked, outcome, votes, replies, rev } of rows) {
      results[ord - 1] =
        outcome === 'held' ? LOCKED : { outcome: blocked ? 'blocked' : outcome, votes, replies, rev };
      if (published && (outcome === 'added' || outcome === 'removed'))
        changed.set(post_id, { post_id, votes, replies, rev });
    }
    if (changed.size > 0) this.#onCommitted([...changed.values()]);
    return results;
  }
}
