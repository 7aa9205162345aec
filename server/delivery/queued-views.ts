import type { LogEntry } from '../log/reader.ts';
import { BatchView } from './batch.ts';
import { departureOf } from './departed.ts';
import { isHidden } from './hidden.ts';
import type { FeedSubscriber } from './subscriber.ts';

/** What of the memory of the node is needed. */
interface Remembered {
  epoch: string;
  entryAt: (seq: number) => LogEntry | undefined;
}

/**
 * What the subscribers with topics are handed in one fan-out. Those with the same event and the same one before it in
 * their chains share a view, and with it the encoded bytes.
 */
export class QueuedViews {
  readonly #feed: Remembered;
  readonly #shared = new Map<number, Map<number, BatchView>>();

  constructor(feed: Remembered) {
    this.#feed = feed;
  }

  /**
   * The events that a subscriber has queued, as they are by now, without those whose author is hidden from it.
   * @returns undefined if they are not in memory any more
   */
  of(subscriber: FeedSubscriber): BatchView | undefined {
    const { queued, told } = subscriber;
    const [only = 0] = queued;
    if (queued.length > 1) return this.#view(subscriber, queued);
    const entry = this.#feed.entryAt(Math.abs(only));
    if (!entry || isHidden(subscriber, entry)) return this.#view(subscriber, queued);
    let ofEvent = this.#shared.get(only);
    if (!ofEvent) this.#shared.set(only, (ofEvent = new Map<number, BatchView>()));
    let view = ofEvent.get(told);
    // Its text may have been taken out since.
    if (!view || view.events[0]?.entry !== taken(entry, only))
      ofEvent.set(told, (view = new BatchView(this.#feed.epoch, [taken(entry, only)], told, entry.seq)));
    return view;
  }

  #view(subscriber: FeedSubscriber, queued: readonly number[]): BatchView | undefined {
    const entries: LogEntry[] = [];
    for (const signed of queued) {
      const entry = this.#feed.entryAt(Math.abs(signed));
      if (!entry) return undefined;
      if (!isHidden(subscriber, entry)) entries.push(taken(entry, signed));
    }
    const last = Math.abs(queued.at(-1) ?? 0);
    return new BatchView(this.#feed.epoch, entries, subscriber.told, last);
  }
}

function taken(entry: LogEntry, signed: number): LogEntry {
  return signed < 0 ? departureOf(entry) : entry;
}
