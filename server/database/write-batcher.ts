import { QueueLimit } from '../queues/queue-limit.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';
import { wantsRetry } from './connection.ts';
import { MicroBatcher } from './micro-batcher.ts';

/** The result of a write that was left out, since somebody else has locked what it needs. */
export const LOCKED = Symbol('locked');

export interface WriteBatcherOptions<Input, Result> {
  /** Statements in progress at once, of those that wait for no lock. */
  atOnce: number;
  /** Writes in one statement at most. */
  most: number;
  /** Writes that wait at most, of everyone: beyond it the database is too slow for what comes in. */
  mostWaiting: number;
  /** What a write is told that is refused since too many wait. */
  refusal: () => Error;
  /**
   * Makes the writes in one statement and one commit.
   * @param patient whether the statement waits for locks
   * @returns the results, in the order of the inputs
   */
  write: (inputs: readonly Input[], patient: boolean) => Promise<(Result | typeof LOCKED)[]>;
  /** What a write locks: locked writes of one lock are made apart in one statement. */
  lockOf: (input: Input) => number;
  /** Writes of one key are made one after the other, in their order. Default: in any order. */
  keyOf?: (input: Input) => string;
  /** Whether one of several writes is to blame for a failure: each is made apart then. Default: all of them fail. */
  isOfOne?: (error: unknown) => boolean;
}

interface Write<Input, Result> {
  input: Input;
  /** The address that it came from, and the user. */
  senders: readonly string[];
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
  /** Where it waits, if not for a batch: with those that are made apart with it, or behind one of the same key. */
  queue?: Write<Input, Result>[];
}

/** Statements at once that wait for a lock: few, or the writes for one locked row would take every connection. */
const PATIENT = 3;
const ATTEMPTS = 4;

/**
 * A micro-batcher of writes: makes writes that arrive together in one statement, which is one transaction: one round trip,
 * commit and plan for all of them. While a statement runs, the next batch collects, so batches grow with the load and a
 * single write does not wait. Each response waits for the commit of its own batch.
 *
 * Users and addresses take turns, and when too many writes wait it is the last one of the user or address with the most
 * that is refused.
 *
 * A batch waits for no lock: a write that needs a locked row is left out and made separately, in a statement that waits.
 */
export class WriteBatcher<Input, Result> {
  readonly #options: WriteBatcherOptions<Input, Result>;
  readonly #batches: MicroBatcher<Write<Input, Result>>;
  readonly #apart = new FairSemaphore<readonly string[]>({ atOnce: PATIENT, pathOf: (senders) => senders });
  /** All that wait: for a batch, to be made apart, or behind another. */
  readonly #limit: QueueLimit<Write<Input, Result>>;
  /** Key of a write that is being made, or waits to be made apart → what has come for the same key since, in order. */
  readonly #behind = new Map<string, Write<Input, Result>[]>();

  constructor(options: WriteBatcherOptions<Input, Result>) {
    this.#options = options;
    const { atOnce, most, mostWaiting } = options;
    const sendersOf = ({ senders }: Write<Input, Result>) => senders;
    this.#batches = new MicroBatcher({ atOnce, most, sendersOf, round: (drawn) => this.#round(drawn) });
    this.#limit = new QueueLimit({ most: mostWaiting, sendersOf, refuse: (write) => this.#refuse(write) });
  }

  /** Writes that wait. */
  get waiting(): number {
    return this.#limit.size;
  }

  /**
   * Resolves after the commit.
   * @param senders whose share of the queue it takes
   * @throws the refusal, if too many wait
   */
  write(input: Input, senders: readonly string[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      const write = { input, senders, resolve, reject };
      this.#batches.add(write);
      this.#limit.add(write);
    });
  }

  /** Takes out a write that waits: nothing of it has been written. */
  #refuse(write: Write<Input, Result>): void {
    const { queue } = write;
    if (queue) {
      queue.splice(queue.indexOf(write), 1);
      // What is behind one that was to be made apart waits for nothing any more.
      if (queue !== this.#behind.get(this.#keyOf(write) ?? '')) this.#release([write]);
    } else this.#batches.remove(write);
    write.reject(this.#options.refusal());
  }

  async #round(drawn: readonly Write<Input, Result>[]): Promise<void> {
    const batch = drawn.filter((write) => this.#isNext(write));
    for (const write of batch) this.#limit.delete(write);
    if (batch.length === 0) return;
    try {
      const locked = new Map<number, Write<Input, Result>[]>();
      const ofAddress = new Map<string, number>();
      const crowdOf = ({ senders: [address = ''] }: Write<Input, Result>) => ofAddress.get(address) ?? 0;
      for (const write of await this.#make(batch, false)) {
        ofAddress.set(write.senders[0] ?? '', crowdOf(write) + 1);
        const lock = this.#options.lockOf(write.input);
        const group = locked.get(lock);
        if (group) group.push(write);
        else locked.set(lock, [write]);
      }
      for (const group of locked.values()) {
        // Anyone who has many locked writes holds up no other who waits for one of their locks.
        const [least] = [...group].sort((a, b) => crowdOf(a) - crowdOf(b));
        this.#queueApart(group, least?.senders ?? []);
      }
    } catch (error) {
      if (this.#isOfOne(error)) for (const write of batch) this.#queueApart([write], write.senders);
      else this.#fail(batch, error);
    }
  }

  /** Whether none of its key is being made; otherwise it waits behind that. */
  #isNext(write: Write<Input, Result>): boolean {
    const key = this.#keyOf(write);
    if (key === undefined) return true;
    const before = this.#behind.get(key);
    if (!before) {
      this.#behind.set(key, []);
      return true;
    }
    write.queue = before;
    before.push(write);
    return false;
  }

  /** The group waits to be made apart, in one statement, in the turn of one of its senders. */
  #queueApart(group: Write<Input, Result>[], senders: readonly string[]): void {
    for (const write of [...group]) {
      write.queue = group;
      this.#limit.add(write);
    }
    void this.#apart.run(senders, () => this.#makeApart(group));
  }

  async #makeApart(group: Write<Input, Result>[]): Promise<void> {
    for (const write of group) {
      this.#limit.delete(write);
      delete write.queue;
    }
    if (group.length === 0) return; // all of them have been refused
    try {
      // What needs a row that has come between the locks and the write is as new: it begins again.
      const again = await this.#make(group, true);
      this.#release(again, again);
      for (const write of again) this.#limit.add(write);
    } catch (error) {
      this.#fail(group, error);
    }
  }

  /** Answers all but those that are still to be made, since what they need is locked. */
  async #make(writes: readonly Write<Input, Result>[], patient: boolean): Promise<Write<Input, Result>[]> {
    const inputs = writes.map(({ input }) => input);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const results = await this.#options.write(inputs, patient);
        const locked: Write<Input, Result>[] = [];
        const made: Write<Input, Result>[] = [];
        for (const [at, write] of writes.entries()) {
          const result = results[at] as Result | typeof LOCKED;
          if (result === LOCKED) locked.push(write);
          else {
            made.push(write);
            write.resolve(result);
          }
        }
        this.#release(made);
        return locked;
      } catch (error) {
        if (attempt >= ATTEMPTS || !wantsRetry(error) || (!patient && this.#isOfOne(error))) throw error;
      }
    }
  }

  #fail(writes: readonly Write<Input, Result>[], error: unknown): void {
    for (const { reject } of writes) reject(error);
    this.#release(writes);
  }

  /**
   * Lets go on what waits behind these.
   * @param again of them, what is to be made once more, before that
   */
  #release(writes: readonly Write<Input, Result>[], again: readonly Write<Input, Result>[] = []): void {
    const behind: Write<Input, Result>[] = [];
    for (const write of writes) {
      const key = this.#keyOf(write);
      if (key === undefined) break;
      behind.push(...(this.#behind.get(key) ?? []));
      this.#behind.delete(key);
    }
    for (const write of behind) delete write.queue;
    if (again.length + behind.length > 0) this.#batches.putBack([...again, ...behind]);
  }

  #keyOf({ input }: Write<Input, Result>): string | undefined {
    return this.#options.keyOf?.(input);
  }

  #isOfOne(error: unknown): boolean {
    return this.#options.isOfOne?.(error) ?? false;
  }
}
