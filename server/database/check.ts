import type pg from 'pg';
import type { Transaction } from 'sequelize';
import type { Config } from '../config.ts';
import type { Database } from './connection.ts';

/** A finding of the doctor. */
export interface Finding {
  /** One sentence. */
  what: string;
  /** Repairs it, in its own transaction; absent if only a person can. */
  repair?: (tx: Transaction) => Promise<void>;
}

/** A check of a capability for the doctor. */
export interface Check {
  /** One word. */
  what: string;
  /** Faults. All checks see one snapshot. */
  find?: (client: pg.ClientBase, config: Readonly<Config>) => Promise<Finding[]>;
  /** The entity types whose events `find` folds. */
  folds?: readonly string[];
  /** What is no fault and could be better, in a sentence. */
  hint?: (client: pg.ClientBase, config: Readonly<Config>) => Promise<string | undefined>;
}

/** What a capability has doctor do when it is asked for: `npm run doctor -- --OPTION`. */
export interface Task {
  option: string;
  /** What it does, in a phrase for the usage. */
  usage: string;
  /** @returns what it did, in a sentence */
  run: (db: Database) => Promise<string>;
}

/** The maximum number of findings per check: an import may have caused millions. */
export const MOST_FOUND = 1000;

/** The first findings, and that there are more, of rows of which one more than `MOST_FOUND` was asked for. */
export function bounded<Row>(rows: readonly Row[], tell: (row: Row) => Finding): Finding[] {
  const findings = rows.slice(0, MOST_FOUND).map(tell);
  if (rows.length > MOST_FOUND)
    findings.push({
      what: `There are more than these ${MOST_FOUND}. Repair them, then run the check again.`,
    });
  return findings;
}
