import type { Transaction } from 'sequelize';

/** The last event of an entity in the log. */
export interface LastTold {
  name: string;
  data: Record<string, unknown>;
}

/**
 * How the events of one entity type fold into state: the last event must match the tables. A capability declares it
 * beside its events; the doctor, which compares the two, knows no capability.
 */
export interface EntityFold {
  /** As its events name it: `post`. */
  entityType: string;
  /** What a sentence calls one of them: `Post`. */
  noun: string;
  /** What it is when others cannot see it: `gone or a draft`. */
  absent: string;
  /** The fields of its events that must be as in the tables, with dots for what lies deeper, and what a sentence calls each. */
  fields: Readonly<Record<string, string>>;
  /** SQL: what others can see, as `id`, `since` (when it became visible) and `state` (json, in which the fields stand as in the event). */
  visible: string;
  /** SQL: the `id`s of those whose events are still to come, since their change is made in pieces. */
  unfinished: string;
  /**
   * Tells one as it is, in a transaction. What the log said wrongly is corrected by what it says next, never in place.
   * @param lastTold what the log says of it, to be read when its row is locked; undefined if it says nothing
   */
  tellAnew: (tx: Transaction, id: number, lastTold: () => Promise<LastTold | undefined>) => Promise<void>;
}
