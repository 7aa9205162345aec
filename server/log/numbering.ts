import { entryColumns, type LogEntry } from './reader.ts';

/**
 * Text of events that one call gives back at most, in bytes. More is read from the log: a result that does not fit the socket's
 * buffers would keep the numbering locked for as long as a stopped process does not read it.
 */
const TOLD_AT_ONCE = 32 * 1024;

/** A range of events that has just been numbered: both ends inclusive. */
export interface Numbered {
  first: number;
  last: number;
  /** All of them, unless they are too much text to be given back at once. */
  entries: LogEntry[] | undefined;
}

/** A row of `number_events`: the run, and one of its events if they are given back. Without a run somebody else is at it. */
export type NumberedRow =
  { first_seq: null } | ({ first_seq: number; last_seq: number } & (LogEntry | { seq: null }));

/**
 * SQL: what `number_events` gives back, as `NumberedRow`s.
 * @param atMost SQL of how many events it numbers at most
 */
export const numberEvents = (atMost: string): string =>
  `select first_seq, last_seq, ${entryColumns}, e.payload as json, e.at
   from number_events(${atMost}, ${TOLD_AT_ONCE}) e`;

/** @returns undefined if there was nothing to number */
export function numberedIn(rows: readonly NumberedRow[]): Numbered | 'busy' | undefined {
  const [row] = rows;
  if (!row) return undefined;
  if (row.first_seq === null) return 'busy';
  const entries = rows.flatMap((each) => {
    if (each.first_seq === null || each.seq === null) return [];
    // The event alone: it is handed on to other nodes as it is.
    const { first_seq: _first, last_seq: _last, ...entry } = each;
    return [entry];
  });
  return {
    first: row.first_seq,
    last: row.last_seq,
    entries: entries.length > 0 ? entries : undefined,
  };
}
