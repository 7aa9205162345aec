import type { Config } from '../config.ts';
import type { Bus } from '../cluster/bus.ts';
import { TallyCoalescer } from '../counters/tally-coalescer.ts';
import { TallyRefresh } from '../counters/tally-refresh.ts';
import type { Follower } from '../log/follower.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Tally } from '../protocol.ts';
import type { Gateway } from '../transports/socketio/gateway.ts';
import type { DatabaseParts } from './database.ts';

export type CounterParts = ReturnType<typeof createCounters>;

export interface CounterDependencies {
  feedPool: DatabaseParts['feedPool'];
  feed: Follower;
  gateway: Pick<Gateway, 'deliverTallies' | 'trackedPosts'>;
  bus: Bus;
  log: Logger;
  metrics: Metrics;
}

/** Tallies that change: here, on another node, or in the database. All come to the coalescer, which tells the clients. */
export function createCounters(
  { tallyWindow }: Readonly<Config>,
  { feedPool, feed, gateway, bus, log, metrics }: CounterDependencies,
) {
  const coalescer: TallyCoalescer = new TallyCoalescer({
    window: tallyWindow,
    tell: (changed, incomplete) => gateway.deliverTallies(changed, incomplete),
    onCoalesced: () => metrics.talliesCoalesced.inc(),
    onOverflow: () => refresh.request(),
  });
  const refresh = new TallyRefresh({ pool: feedPool, log, tracked: () => gateway.trackedPosts, coalescer });
  feed.on('tallies', (changed) => coalescer.report(changed));
  feed.on('tooManyTallies', () => refresh.request());
  feed.on('epoch', () => coalescer.forget());
  bus.subscribe('tallies', ({ epoch, tallies }) => {
    // A `rev` of another database says nothing about the tallies of this one.
    if (epoch !== feed.epoch) return;
    // A node of the version before knows of no replies. Each of its tallies is read from the database a moment later.
    coalescer.report(tallies.filter(({ replies }) => (replies as number | undefined) !== undefined));
  });
  return {
    coalescer,
    refresh,
    /** Tells the whole cluster of tallies that have changed and are committed. */
    reportTallies: (changed: Tally[]) => {
      coalescer.report(changed);
      bus.publish('tallies', { epoch: feed.epoch, tallies: changed });
    },
  };
}
