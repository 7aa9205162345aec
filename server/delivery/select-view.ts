import type { LogEntry } from '../log/reader.ts';
import { reachOf } from '../topics/subscription.ts';
import { BatchView } from './batch.ts';
import { departureOf } from './departed.ts';
import type { EventRange } from './missed-events.ts';
import { isHidden } from './hidden.ts';
import type { FeedSubscriber } from './subscriber.ts';

/** What is looked at of a subscriber with topics. */
export type Selecting = Pick<FeedSubscriber, 'identity' | 'subscription' | 'member' | 'seq' | 'told'>;

/**
 * The events of a range of the log that a subscriber with topics receives, by the relations as they were at each
 * event, and without those whose author is hidden from it now.
 * @param most events at most: then the view ends behind the last of them
 * @param asNow gives an event as it is by now, without a text that was taken out since the range was read
 */
export function selectView(
  subscriber: Selecting,
  epoch: string,
  { entries, last }: Pick<EventRange, 'entries' | 'last'>,
  most: number,
  asNow: (entry: LogEntry) => LogEntry,
): BatchView {
  const { subscription, member, seq, told } = subscriber;
  const selected: LogEntry[] = [];
  if (subscription && member && entries.length > 0) {
    const reach = reachOf(subscription, member.reader, member.relations.followsAfter(seq));
    for (const entry of entries) {
      if (entry.seq <= seq) continue;
      const as = reach(entry);
      if (as === undefined || isHidden(subscriber, entry)) continue;
      selected.push(as === 'departure' ? departureOf(entry) : asNow(entry));
      if (selected.length >= most) return new BatchView(epoch, selected, told, entry.seq);
    }
  }
  return new BatchView(epoch, selected, told, last);
}
