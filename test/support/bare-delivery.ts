import type pg from 'pg';
import type { BatchView } from '../../server/delivery/batch.ts';
import { Connections } from '../../server/delivery/connections.ts';
import { Delivery } from '../../server/delivery/delivery.ts';
import { FeedSubscriber } from '../../server/delivery/subscriber.ts';
import { TimeSlices } from '../../server/delivery/time-slices.ts';
import type { Follower } from '../../server/log/follower.ts';
import { probeLog, readLog } from '../../server/log/reader.ts';
import { readFollowChanges, readRelations } from '../../server/log/relation-reader.ts';
import { createLogger } from '../../server/logger.ts';
import { createMetrics } from '../../server/ops/metrics.ts';
import { Subscription } from '../../server/topics/subscription.ts';

/** The delivery of a node that is nothing else, over a log that has been followed from its start. */
export function deliveryOn(feed: Follower, pool: pg.Pool): Delivery {
  const delivery = new Delivery({
    feed,
    connections: new Connections(),
    readLog: (after, limit) => readLog(pool, after, limit),
    probeLog: (...probe) => probeLog(pool, ...probe),
    relationSource: {
      relations: (users) => readRelations(pool, users),
      followChanges: (...changes) => readFollowChanges(pool, ...changes),
    },
    usesReplicas: false,
    slices: new TimeSlices(0),
    metrics: createMetrics(),
    log: createLogger('silent'),
  });
  delivery.start();
  return delivery;
}

/** What a statement of a name waits for: before it is sent, and when its answer is there. */
export interface Holds {
  before?: (name: string) => Promise<unknown> | undefined;
  after?: (name: string) => Promise<unknown> | undefined;
}

/** @returns the same pool, of which statements can be kept waiting */
export function heldPool(pool: pg.Pool, holds: Holds): pg.Pool {
  return new Proxy(pool, {
    get: (target, property) => {
      if (property !== 'query') return Reflect.get(target, property, target) as unknown;
      return async (...args: [{ name?: string }]) => {
        const { name = '' } = args[0];
        await holds.before?.(name);
        const answer = await target.query(...(args as unknown as [string]));
        await holds.after?.(name);
        return answer;
      };
    },
  });
}

/** A client on a connection that never fills, which keeps what it is handed. */
export class KeptSubscriber extends FeedSubscriber {
  readonly handed: { seq: number; prev: number; json: string }[] = [];
  readonly pending = 0;
  readonly seesHeads = true;

  constructor(userId: number, topics: readonly string[]) {
    super({ id: userId, sessionId: 'one', expiresAt: Infinity }, '127.0.0.1', Subscription.of(topics));
  }

  get open(): boolean {
    return !this.ended;
  }

  /** The numbers of the events that it was handed. */
  get seqs(): number[] {
    return this.handed.map(({ seq }) => seq);
  }

  writeEvents(view: BatchView, from: number, to: number): number {
    for (const { entry, prev } of view.events.slice(from, to))
      this.handed.push({ seq: entry.seq, prev, json: entry.json });
    return to - from;
  }

  greet(): void {
    // `greeted` says so.
  }

  writeHead(): void {
    // Only events are kept.
  }

  writeCount(): void {
    // It has no mode in which it counts.
  }

  takeBack(): void {
    // Nothing waits.
  }

  end(): void {
    this.ended = true;
  }

  terminate(): void {
    this.ended = true;
  }
}
