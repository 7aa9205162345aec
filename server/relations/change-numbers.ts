import { setTimeout as sleep } from 'node:timers/promises';
import { QueryTypes } from 'sequelize';
import { Pause } from '../async/pause.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { unavailable } from '../errors.ts';
import type { Follower } from '../log/follower.ts';

/** How often the log is asked if no event of the user passes. Milliseconds. */
const LOOK = 250;

export interface ChangeNumbersOptions {
  feed: Pick<Follower, 'on' | 'seq'>;
  /** How long after its number a block is in effect on every socket of every node. Milliseconds. */
  settled: number;
  /** How long an answer waits for a number. Milliseconds. */
  timeLimit: number;
}

/** Tells a request that has changed a relation which number its event got: since then the stream goes by it. */
export class ChangeNumbers {
  readonly #options: ChangeNumbersOptions;
  /** User → who waits for an event that changes one of the user's relations. */
  readonly #waiting = new Map<number, Set<() => void>>();

  constructor(options: ChangeNumbersOptions) {
    this.#options = options;
    options.feed.on('events', (entries) => {
      for (const { relation } of entries)
        if (relation) for (const wake of this.#waiting.get(relation.user_id) ?? []) wake();
    });
  }

  /**
   * The number of an event that is committed, once this node has passed it.
   * @param outboxId of the event
   * @throws {AppError} 503 if it gets none for some seconds
   */
  async of(userId: number, outboxId: number, db: DatabaseShare): Promise<number> {
    const end = performance.now() + this.#options.timeLimit;
    const pause = new Pause();
    let passed = 0;
    const wake = () => {
      passed += 1;
      pause.end();
    };
    const waiting = this.#waiting.get(userId) ?? new Set();
    this.#waiting.set(userId, waiting.add(wake));
    try {
      for (;;) {
        const before = passed;
        const seq = await numberOf(db, outboxId);
        if (seq !== undefined && seq <= this.#options.feed.seq) return seq;
        const left = end - performance.now();
        if (left <= 0)
          throw unavailable(
            'The change is saved, but not yet in the stream of events. Repeat the request to learn its number.',
            2,
          );
        // What has passed while the log was read must still wake us.
        if (passed === before) await pause.for(Math.min(left, LOOK));
      }
    } finally {
      waiting.delete(wake);
      if (waiting.size === 0) this.#waiting.delete(userId);
    }
  }

  /**
   * Resolves when no socket of any node is sent anything any more that a block forbids. A node writes events only if it
   * has read the log less than a second ago: after that time, each has either read of the block, or writes nothing.
   */
  async settled(): Promise<void> {
    await sleep(this.#options.settled);
  }
}

async function numberOf(db: DatabaseShare, outboxId: number): Promise<number | undefined> {
  const [row] = await db.query<{ seq: number }>('select seq from event_log where outbox_id = $1', {
    type: QueryTypes.SELECT,
    bind: [outboxId],
  });
  return row?.seq;
}
