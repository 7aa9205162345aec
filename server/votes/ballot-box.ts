import { QueryTypes, type Sequelize } from 'sequelize';
import { databaseErrorCode } from '../database/connection.ts';
import { AppError } from '../errors.ts';
import type { Tally } from '../events.ts';

/** What became of one vote. */
export interface VoteResult {
  outcome: 'added' | 'already' | 'removed' | 'absent' | 'no_post' | 'no_user';
  votes: number;
  rev: number;
}

interface Ballot {
  userId: number;
  postId: number;
  up: boolean;
  resolve: (result: VoteResult) => void;
  reject: (error: unknown) => void;
}

interface ResultRow extends VoteResult {
  ord: number;
  post_id: number;
  published: boolean;
}

/** Votes in one statement at most. */
const BATCH = 500;
/** Votes that wait at most: beyond it the database is too slow for what comes in. */
const MAX_WAITING = 20_000;
const ATTEMPTS = 4;

/**
 * Writes votes that arrive together in one statement and one commit. A popular post is one hot row: with a transaction
 * per vote its voters queue for the row's lock, each for the length of a commit; here they share one. While a statement
 * runs the next batch gathers, so the batch grows with the load and a lone vote waits for nobody. Each answer waits for
 * the commit of its own batch.
 */
export class BallotBox {
  readonly #sequelize: Sequelize;
  readonly #onCommitted: (tallies: Tally[]) => void;
  #waiting: Ballot[] = [];
  #counting = false;

  /** @param onCommitted told the changed tallies of published posts after each commit. */
  constructor(sequelize: Sequelize, onCommitted: (tallies: Tally[]) => void) {
    this.#sequelize = sequelize;
    this.#onCommitted = onCommitted;
  }

  /** Casts one vote or takes it back. Resolves after the commit. @throws {AppError} 503 */
  cast(userId: number, postId: number, up: boolean): Promise<VoteResult> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new AppError('unavailable', 'Too many votes are waiting.', { headers: { 'Retry-After': '1' } });
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ userId, postId, up, resolve, reject });
      if (!this.#counting) void this.#count();
    });
  }

  async #count(): Promise<void> {
    this.#counting = true;
    // What else arrives in this tick belongs to the batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#draw();
      try {
        const rows = await this.#write(batch);
        const changed = new Map<number, Tally>();
        for (const row of rows) {
          batch[row.ord - 1]?.resolve({ outcome: row.outcome, votes: row.votes, rev: row.rev });
          if (row.published && (row.outcome === 'added' || row.outcome === 'removed')) {
            changed.set(row.post_id, { post_id: row.post_id, votes: row.votes, rev: row.rev });
          }
        }
        if (changed.size > 0) this.#onCommitted([...changed.values()]);
      } catch (error) {
        for (const ballot of batch) ballot.reject(error);
      }
    }
    this.#counting = false;
  }

  /** The next batch: the oldest votes, but each pair of user and post once, since one statement sees no order. */
  #draw(): Ballot[] {
    const batch: Ballot[] = [];
    const later: Ballot[] = [];
    const pairs = new Set<string>();
    for (const [at, ballot] of this.#waiting.entries()) {
      if (batch.length >= BATCH) {
        later.push(...this.#waiting.slice(at));
        break;
      }
      const pair = `${ballot.userId}:${ballot.postId}`;
      if (pairs.has(pair)) later.push(ballot);
      else {
        pairs.add(pair);
        batch.push(ballot);
      }
    }
    this.#waiting = later;
    return batch;
  }

  async #write(batch: Ballot[]): Promise<ResultRow[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#sequelize.query<ResultRow>('select * from cast_votes($1, $2, $3)', {
          type: QueryTypes.SELECT,
          bind: [
            batch.map((ballot) => ballot.userId),
            batch.map((ballot) => ballot.postId),
            batch.map((ballot) => ballot.up),
          ],
        });
      } catch (error) {
        const code = databaseErrorCode(error);
        if (attempt >= ATTEMPTS || (code !== '40001' && code !== '40P01')) throw error;
      }
    }
  }
}
