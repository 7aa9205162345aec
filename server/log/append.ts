import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { Numbered } from './numbering.ts';
import { type Departure, type EventType, rowOf } from '../topics/event-type.ts';

/**
 * Writes events to the outbox. The SQL function `append_events` has the only statement that does so; it is called from
 * here and from `write_posts`, which writes posts together. The transaction is a required argument: an event written
 * outside one could announce a row that never existed. It must be the last statement of its transaction: the outbox id
 * is drawn while every row that the event tells of is locked, so two events of one entity are numbered in the order of
 * their writes.
 */
export async function append<Subject, Payload extends object>(
  tx: Transaction,
  type: EventType<string, Subject, Payload>,
  subject: Subject,
  departure?: Departure,
): Promise<void> {
  await appendAll(tx, type, [subject], [departure]);
}

/** Text of events that goes into one statement, if it is more than one event. Characters. */
const STATEMENT = 512 * 1024;

/**
 * Several events of one kind, numbered in the order given.
 * @param departures the departure of each that has one
 */
export async function appendAll<Subject, Payload extends object>(
  tx: Transaction,
  type: EventType<string, Subject, Payload>,
  subjects: readonly Subject[],
  departures: readonly (Departure | undefined)[] = [],
): Promise<void> {
  if (subjects.length === 0) return;
  const sequelize = sequelizeOf(tx);
  let events: string[] = [];
  let length = 0;
  for (const [at, subject] of subjects.entries()) {
    const event = JSON.stringify(rowOf(type, subject, departures[at]));
    events.push(event);
    length += event.length;
    if (length < STATEMENT && at < subjects.length - 1) continue;
    await sequelize.query('select append_events($1::json)', {
      transaction: tx,
      type: QueryTypes.RAW,
      bind: [`[${events.join(',')}]`],
    });
    events = [];
    length = 0;
  }
  tx.afterCommit(() => announce(sequelize));
}

/**
 * Something has been appended and committed.
 * @param numbered if its transaction numbered it as well
 */
export function announce(sequelize: object, numbered?: Numbered): void {
  listeners.get(sequelize)?.(numbered);
}

const listeners = new WeakMap<object, (numbered?: Numbered) => void>();

/** Registers the listener that is called when a transaction with events has committed: the node's own sequencer. */
export function onAppended(sequelize: object, listener: (numbered?: Numbered) => void): void {
  listeners.set(sequelize, listener);
}
