import { QueryTypes } from 'sequelize';
import { wantsRetry } from '../database/connection.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { unavailable } from '../errors.ts';
import type { Tally } from '../protocol.ts';
import { takeRoundRobin } from '../queues/round-robin.ts';
import { QueueLimit } from '../queues/queue-limit.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';

/** The result of one vote. */
export interface VoteResult {
  outcome: 'added' | 'already' | 'removed' | 'absent' | 'no_post' | 'no_user';
  votes: number;
  rev: number;
}

interface Ballot {
  userId: number;
  postId: number;
  up: boolean;
  /** The address that the vote came from, and the user. */
  senders: readonly string[];
  resolve: (result: VoteResult) => void;
  reject: (error: unknown) => void;
  /** The group with which it waits to be written separately. */
  group?: Ballot[];
}

interface ResultRow extends Omit<VoteResult, 'outcome'> {
  outcome: VoteResult['outcome'] | 'held';
  ord: number;
  post_id: number;
  published: boolean;
}

/** Votes in one statement at most. */
const BATCH = 500;
/** The maximum number of waiting votes: beyond it the database is too slow for the load. */
const MAX_WAITING = 20_000;
/** Statements at once that wait for a lock: few, or the voters on one locked post would take every connection. */
const PATIENT = 3;
const ATTEMPTS = 4;

/**
 * A micro-batcher of votes: writes votes that arrive together in one statement and one commit. A popular post is one
 * hot row: with a transaction per vote its voters queue for the row lock, each for the length of a commit; here they
 * share one. While a statement runs, the next batch collects, so batches grow with the load and a single vote does not
 * wait. Each response waits for the commit of its own batch.
 *
 * Users and addresses take turns, and when too many votes wait it is the last one of the user or address with the most that is
 * refused.
 *
 * A batch does not wait for locks: a vote by a user or on a post that is locked, as during an edit or the deletion of
 * an account, is left out and written separately, in a statement that waits. Later votes of the same user on the post
 * wait with it.
 */
export class BallotBox {
  readonly #db: DatabaseShare;
  readonly #onCommitted: (tallies: Tally[]) => void;
  readonly #onRefused: () => void;
  /** What waits for a batch, in the order of arrival. */
  #waiting: Ballot[] = [];
  /** All that wait: for a batch, to be cast apart, or for such a vote of the same pair. */
  readonly #bound: QueueLimit<Ballot>;
  #counting = false;
  /** Votes that are cast apart, by user and post, and what has come for the same pair since, in order. */
  readonly #held = new Map<string, Ballot[]>();
  readonly #apart = new FairSemaphore<readonly string[]>({ atOnce: PATIENT, pathOf: (senders) => senders });

  /**
   * @param onCommitted told the changed tallies of published posts after each commit
   * @param onRefused called for each vote that is refused since too many wait
   * @param most votes that wait at most
   */
  constructor(
    db: DatabaseShare,
    onCommitted: (tallies: Tally[]) => void,
    onRefused: () => void = () => undefined,
    most = MAX_WAITING,
  ) {
    this.#db = db;
    this.#onCommitted = onCommitted;
    this.#onRefused = onRefused;
    this.#bound = new QueueLimit<Ballot>({
      most,
      sendersOf: ({ senders }) => senders,
      refuse: (ballot) => this.#refuse(ballot),
    });
  }

  /** Votes that wait to be cast. */
  get waiting(): number {
    return this.#bound.size;
  }

  /**
   * Casts one vote or takes it back. Resolves after the commit.
   * @param senders whose share of the queue it takes
   * @throws {AppError} 503
   */
  cast(userId: number, postId: number, up: boolean, senders: readonly string[]): Promise<VoteResult> {
    return new Promise((resolve, reject) => {
      this.#queue([{ userId, postId, up, senders, resolve, reject }]);
    });
  }

  #queue(ballots: readonly Ballot[]): void {
    for (const ballot of ballots) {
      this.#waiting.push(ballot);
      this.#bound.add(ballot);
    }
    if (!this.#counting) void this.#count();
  }

  /** The group, on one post, waits to be cast apart in the turn of one of its senders. */
  #queueApart(group: Ballot[], senders: readonly string[]): void {
    for (const ballot of [...group]) {
      ballot.group = group;
      this.#bound.add(ballot);
    }
    void this.#apart.run(senders, () => this.#castApart(group));
  }

  /** Takes out a vote that waits: nothing of it has been written. */
  #refuse(ballot: Ballot): void {
    const later = this.#held.get(pairOf(ballot));
    if (ballot.group) {
      ballot.group.splice(ballot.group.indexOf(ballot), 1);
      // What its user has said of the post since waits for nothing any more.
      this.#held.delete(pairOf(ballot));
      this.#waiting.push(...(later ?? []));
      if (!this.#counting) void this.#count();
    } else if (later?.includes(ballot)) later.splice(later.indexOf(ballot), 1);
    else this.#waiting.splice(this.#waiting.indexOf(ballot), 1);
    this.#onRefused();
    ballot.reject(unavailable('Too many votes are waiting.', 1));
  }

  async #count(): Promise<void> {
    this.#counting = true;
    // What else arrives in this tick belongs to the batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const held = new Map<number, Ballot[]>();
      const ofAddress = new Map<string, number>();
      const crowdOf = ({ senders: [address = ''] }: Ballot) => ofAddress.get(address) ?? 0;
      for (const ballot of await this.#castAll(this.#draw(), { patient: false })) {
        this.#held.set(pairOf(ballot), []);
        ofAddress.set(ballot.senders[0] ?? '', crowdOf(ballot) + 1);
        const ofPost = held.get(ballot.postId);
        if (ofPost) ofPost.push(ballot);
        else held.set(ballot.postId, [ballot]);
      }
      for (const ofPost of held.values()) {
        // Anyone who votes on many locked posts holds up no other voter on one of them.
        const [least] = [...ofPost].sort((a, b) => crowdOf(a) - crowdOf(b));
        this.#queueApart(ofPost, least?.senders ?? []);
      }
    }
    this.#counting = false;
  }

  async #castApart(ballots: Ballot[]): Promise<void> {
    for (const ballot of ballots) {
      this.#bound.delete(ballot);
      delete ballot.group;
    }
    // Whose post has come between the locks and the votes is as new: it begins again.
    const again = await this.#castAll(ballots, { patient: true });
    for (const ballot of ballots) {
      const later = this.#held.get(pairOf(ballot)) ?? [];
      this.#held.delete(pairOf(ballot));
      if (again.includes(ballot)) this.#queue([ballot]);
      this.#waiting.push(...later); // which have been counted all the time
    }
    if (!this.#counting) void this.#count();
  }

  /** Answers them all but those that are still to be cast, since somebody has locked their user or post. */
  async #castAll(batch: readonly Ballot[], { patient }: { patient: boolean }): Promise<Ballot[]> {
    const held: Ballot[] = [];
    if (batch.length === 0) return held;
    try {
      const changed = new Map<number, Tally>();
      for (const { ord, post_id, published, outcome, votes, rev } of await this.#write(batch, patient)) {
        const ballot = batch[ord - 1];
        if (!ballot) continue;
        if (outcome === 'held') held.push(ballot);
        else ballot.resolve({ outcome, votes, rev });
        if (published && (outcome === 'added' || outcome === 'removed'))
          changed.set(post_id, { post_id, votes, rev });
      }
      if (changed.size > 0) this.#onCommitted([...changed.values()]);
    } catch (error) {
      for (const ballot of batch) ballot.reject(error);
    }
    return held;
  }

  /**
   * The next batch: votes of each user in turn, the oldest first, but each pair of user and post once, since one statement
   * sees no order, and none of a pair that is being cast apart.
   */
  #draw(): Ballot[] {
    const batch: Ballot[] = [];
    const later: Ballot[] = [];
    const pairs = new Set<string>();
    const { drawn, left } = takeRoundRobin(this.#waiting, BATCH, ({ senders }) => senders);
    for (const ballot of drawn) {
      const pair = pairOf(ballot);
      const before = this.#held.get(pair);
      if (before) before.push(ballot);
      else if (pairs.has(pair)) later.push(ballot);
      else {
        pairs.add(pair);
        batch.push(ballot);
      }
    }
    this.#waiting = [...later, ...left];
    for (const ballot of batch) this.#bound.delete(ballot);
    return batch;
  }

  async #write(batch: readonly Ballot[], patient: boolean): Promise<ResultRow[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#db.query<ResultRow>('select * from cast_votes($1, $2, $3, $4)', {
          type: QueryTypes.SELECT,
          bind: [
            batch.map((ballot) => ballot.userId),
            batch.map((ballot) => ballot.postId),
            batch.map((ballot) => ballot.up),
            patient,
          ],
        });
      } catch (error) {
        if (attempt >= ATTEMPTS || !wantsRetry(error)) throw error;
      }
    }
  }
}

function pairOf({ userId, postId }: Ballot): string {
  return `${userId}:${postId}`;
}
