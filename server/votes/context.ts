import type { Database } from '../database/connection.ts';
import type { VoteLimit } from '../limits/vote-limit.ts';
import type { VoteWriter } from './vote-writer.ts';

/** What the requests for votes use. */
export interface VoteContext {
  db: Database;
  voteWriter: VoteWriter;
  /** Undefined: votes are not limited by address. */
  voteLimit: VoteLimit | undefined;
}
