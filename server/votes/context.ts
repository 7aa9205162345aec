import type { Database } from '../database/connection.ts';
import type { VoteLimit } from '../limits/vote-limit.ts';
import type { BallotBox } from './ballot-box.ts';

/** What the requests for votes use. */
export interface VoteContext {
  db: Database;
  ballots: BallotBox;
  /** Undefined: votes are not limited by address. */
  voteLimit: VoteLimit | undefined;
}
