import type { Config } from '../config.ts';
import type { Database } from '../database/connection.ts';

/** What a task works with. */
export interface Tools {
  config: Readonly<Config>;
  db: Database;
}

/** What an operator may ask for: `npm run admin -- NAME …`. */
export interface AdminTask {
  name: string;
  /** Its arguments, as the usage tells them. */
  usage: string;
  /** What it does, in a phrase for the usage. */
  does: string;
  /**
   * What its arguments ask for; undefined if they are not understood.
   * @returns what it did, in sentences
   */
  read: (args: string[]) => ((tools: Tools) => Promise<string>) | undefined;
}
