import type { Database } from '../database/connection.ts';

/** What the requests for notifications use. */
export interface NotificationContext {
  db: Database;
}
