import type { Database } from '../database/connection.ts';
import type { ChangeNumbers } from './change-numbers.ts';

/** What the requests for follows, blocks and mutes use. */
export interface RelationContext {
  db: Database;
  changeNumbers: ChangeNumbers;
}
