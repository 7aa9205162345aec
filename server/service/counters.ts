import type { Config } from '../config.ts';
import type { Bus } from '../cluster/bus.ts';
import { TallyBoard } from '../counters/tally-board.ts';
import { TallyRefresh } from '../counters/tally-refresh.ts';
import type { Follower } from '../log/follower.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Tally } from '../protocol.ts';
import type { Gateway } from '../transports/socketio/gateway.ts';
import type { DatabaseParts } from './database.ts';

export interface CounterParts {
  board: TallyBoard;
  refresh: TallyRefresh;
  /** Tells the whole cluster of tallies that have changed and are committed. */
  reportTallies: (tallies: Tally[]) => void;
}

export interface CounterSurroundings {
  feedPool: DatabaseParts['feedPool'];
  feed: Follower;
  gateway: Pick<Gateway, 'deliverTallies' | 'trackedPosts'>;
  bus: Bus;
  log: Logger;
  metrics: Metrics;
}

/** Tallies that change: here, on another node, or in the database. All come to the board, which tells the clients. */
export function createCounters(
  { tallyWindow }: Readonly<Config>,
  { feedPool, feed, gateway, bus, log, metrics }: CounterSurroundings,
): CounterParts {
  const board: TallyBoard = new TallyBoard({
    window: tallyWindow,
    tell: (changed, incomplete) => gateway.deliverTallies(changed, incomplete),
    onCoalesced: () => metrics.talliesCoalesced.inc(),
    onOverflow: () => refresh.request(),
  });
  const refresh = new TallyRefresh({ pool: feedPool, log, tracked: () => gateway.trackedPosts, board });
  feed.on('tallies', (changed) => board.report(changed));
  feed.on('tooManyTallies', () => refresh.request());
  feed.on('epoch', () => board.forget());
  bus.subscribe('tallies', ({ epoch, tallies }) => {
    // A `rev` of another database says nothing about the tallies of this one.
    if (epoch === feed.epoch) board.report(tallies);
  });
  return {
    board,
    refresh,
    reportTallies: (changed) => {
      board.report(changed);
      bus.publish('tallies', { epoch: feed.epoch, tallies: changed });
    },
  };
}
