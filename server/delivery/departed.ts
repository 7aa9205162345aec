import type { LogEntry } from '../log/reader.ts';

const departed = new WeakMap<LogEntry, LogEntry>();

/**
 * What is received of an event by those who subscribe only to topics that its entity has left with it; the same object
 * each time.
 */
export function departureOf(entry: LogEntry): LogEntry {
  const { departure } = entry;
  if (!departure) return entry;
  let one = departed.get(entry);
  if (!one) {
    one = {
      ...entry,
      name: departure.name,
      json: JSON.stringify(departure.data),
      redaction: [],
      departure: null,
    };
    departed.set(entry, one);
  }
  return one;
}
