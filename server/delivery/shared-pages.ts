import { type LogEntry, shortened } from '../log/reader.ts';
import { Batch } from './batch.ts';

/** Pages that are kept. Each is of some hundred events at most, with their frames. */
const KEPT = 8;

interface SharedPage {
  entries: LogEntry[];
  told: number;
  batch: Batch;
}

/**
 * Pages of the ring buffer that were taken last. Clients that come back together, as those of a node that has ended, are
 * behind by the same events: they share one page, which is encoded once for all of them.
 */
export class SharedPages {
  /** Oldest first. */
  readonly #pages: SharedPage[] = [];

  /**
   * @param entries as the ring has them now: an event without its text is another entry, and so another page
   * @param told the last event before them in the chain of who takes them
   */
  of(epoch: string, entries: LogEntry[], told: number): Batch {
    const known = this.#pages.find(
      (page) => page.told === told && page.batch.epoch === epoch && isSame(page.entries, entries),
    );
    if (known) return known.batch;
    const batch = new Batch(epoch, shortened(entries), told);
    this.#pages.push({ entries, told, batch });
    if (this.#pages.length > KEPT) this.#pages.shift();
    return batch;
  }
}

function isSame(one: readonly LogEntry[], other: readonly LogEntry[]): boolean {
  return one.length === other.length && one.every((entry, at) => entry === other[at]);
}
