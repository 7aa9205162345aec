import { randomInt, randomUUID } from 'node:crypto';
import { QueryTypes } from 'sequelize';
import { type Database, databaseErrorCode, wantsRetry } from '../database/connection.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { MicroBatcher } from '../database/micro-batcher.ts';
import { unavailable } from '../errors.ts';
import { announce } from '../log/append.ts';
import { rowOf as outboxRowOf } from '../topics/event-type.ts';
import { QueueLimit } from '../queues/queue-limit.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';
import { FOLD } from '../text/fold.ts';
import { postCreated } from './events.ts';
import type { Claim } from './idempotency.ts';
import { type PostRow, presentAnswer, presentPost } from './present.ts';
import { searchable } from './searchable.ts';

/** What a post is made of. */
export interface PostInput {
  title: string;
  content: string;
  published: boolean;
}

interface Ask {
  ownerId: number;
  /** The address that the post came from, and the user. */
  senders: readonly string[];
  input: PostInput;
  claim: Claim | undefined;
  resolve: (row: PostRow | undefined) => void;
  reject: (error: unknown) => void;
  /** The group with which it waits to be written separately. */
  group?: Ask[];
}

/** Statements in progress at once, and posts in one of them at most. */
const ROUNDS = 2;
const MOST = 100;
/** The maximum number of waiting posts: beyond it the database is too slow for the load. */
const MAX_WAITING = 5000;
/** Statements at once that wait for a lock: few, or the posts of one locked owner would take every connection. */
const PATIENT = 3;
const ATTEMPTS = 4;

/**
 * A micro-batcher of new posts: writes posts that arrive together in one statement, which is one transaction: one round
 * trip, commit and plan for all of them, instead of five round trips for each. While it runs, the next ones collect;
 * each response waits for the commit of its own batch.
 *
 * Users and addresses take turns, and when too many posts wait it is the last one of the user or address with the most that is
 * refused.
 *
 * They fail independently. A post whose owner is locked, as while an account is being deleted, is left out and written
 * separately, in a statement that waits; if one fails, the statement is rolled back and each is written separately.
 */
export class PostWriter {
  readonly #db: DatabaseShare;
  readonly #sequelize: Database['sequelize'];
  readonly #onRefused: () => void;
  readonly #waiting: QueueLimit<Ask>;
  readonly #asks = new MicroBatcher<Ask>({
    atOnce: ROUNDS,
    most: MOST,
    sendersOf: ({ senders }) => senders,
    round: (asks) => this.#round(asks),
  });
  readonly #apart = new FairSemaphore<readonly string[]>({ atOnce: PATIENT, pathOf: (senders) => senders });

  /**
   * @param onRefused called for each post that is refused since too many wait
   * @param most posts that wait at most
   */
  constructor(db: Database, onRefused: () => void = () => undefined, most = MAX_WAITING) {
    this.#db = db.share('posts');
    this.#sequelize = db.sequelize;
    this.#onRefused = onRefused;
    this.#waiting = new QueueLimit<Ask>({
      most,
      sendersOf: ({ senders }) => senders,
      refuse: (ask) => this.#refuse(ask),
    });
  }

  /** Posts that wait to be written. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Writes a post with its tally, its event and the claim of its idempotency key. Resolves after the commit.
   * @param senders whose share of the queue it takes
   * @returns the row, or undefined if nothing was written: the key has been used, or the owner is gone
   * @throws {AppError} 503
   */
  write(
    ownerId: number,
    input: PostInput,
    claim: Claim | undefined,
    senders: readonly string[],
  ): Promise<PostRow | undefined> {
    return new Promise((resolve, reject) => this.#queue({ ownerId, senders, input, claim, resolve, reject }));
  }

  #queue(ask: Ask): void {
    this.#asks.add(ask);
    this.#waiting.add(ask);
  }

  /** The group waits to be written apart, in one statement. */
  #queueApart(group: Ask[]): void {
    const senders = group[0]?.senders ?? [];
    for (const ask of [...group]) {
      ask.group = group;
      this.#waiting.add(ask);
    }
    void this.#apart.run(senders, () => this.#patiently(group));
  }

  /** Takes out a request that waits: nothing of it has been written. */
  #refuse(ask: Ask): void {
    if (ask.group) ask.group.splice(ask.group.indexOf(ask), 1);
    else this.#asks.remove(ask);
    this.#onRefused();
    ask.reject(unavailable('Too many posts are waiting.', 1));
  }

  async #round(asks: readonly Ask[]): Promise<void> {
    for (const ask of asks) this.#waiting.delete(ask);
    try {
      const held = new Map<number, Ask[]>();
      for (const ask of await this.#insert(asks, false)) {
        const ofOwner = held.get(ask.ownerId);
        if (ofOwner) ofOwner.push(ask);
        else held.set(ask.ownerId, [ask]);
      }
      for (const ofOwner of held.values()) this.#queueApart(ofOwner);
    } catch (error) {
      if (isOfOne(error)) for (const ask of asks) this.#queueApart([ask]);
      else for (const ask of asks) ask.reject(error);
    }
  }

  async #patiently(asks: Ask[]): Promise<void> {
    for (const ask of asks) {
      this.#waiting.delete(ask);
      delete ask.group;
    }
    if (asks.length === 0) return; // all of them have been refused
    for (let attempt = 1; ; attempt += 1) {
      try {
        for (const ask of await this.#insert(asks, true)) this.#queue(ask);
        return;
      } catch (error) {
        if (attempt < ATTEMPTS && wantsRetry(error)) continue;
        for (const ask of asks) ask.reject(error);
        return;
      }
    }
  }

  /** @returns those that are still to be written, since their owner is locked */
  async #insert(asks: readonly Ask[], patient: boolean): Promise<Ask[]> {
    const searched = asks.map(({ input }) => searchable(input));
    const rows = await this.#db.query<Written>(
      'select * from write_posts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::smallint)',
      {
        type: QueryTypes.SELECT,
        bind: [
          asks.map(({ ownerId }) => ownerId),
          asks.map(({ input }) => input.title),
          asks.map(({ input }) => input.content),
          asks.map(({ input }) => input.published),
          asks.map((ask) => (ask.input.published ? eventOf(ask) : null)),
          asks.map((ask) => (ask.claim ? answerOf(ask) : null)),
          [keyedHashes.id, keyedHashes.created_at.toISOString(), JSON.stringify(keyedHashes.username)],
          asks.map(({ claim }) => claim?.key ?? null),
          asks.map(({ claim }) => claim?.requestHash ?? null),
          patient,
          searched.map(({ text }) => text),
          searched.map(({ grams }) => grams),
          FOLD,
        ],
      },
    );
    if (rows.some((row) => row.id !== null && asks[row.ord - 1]?.input.published)) announce(this.#sequelize);
    const written = new Map(rows.map((row) => [row.ord, row]));
    const held: Ask[] = [];
    for (const [at, ask] of asks.entries()) {
      const row = written.get(at + 1);
      if (row?.id === null) held.push(ask);
      else ask.resolve(row && rowOf(ask, row));
    }
    return held;
  }
}

/** What the database says of a post that it has written; without an id, of one whose owner is locked. */
type Written = { ord: number } & (Pick<PostRow, 'id' | 'username' | 'created_at'> | { id: null });

function rowOf(
  { ownerId, input }: Ask,
  { id, username, created_at }: Pick<PostRow, 'id' | 'username' | 'created_at'>,
): PostRow {
  return {
    id,
    ...input,
    created_at,
    published_at: input.published ? created_at : null,
    updated_at: created_at,
    version: 1,
    owner_id: ownerId,
    username,
    votes: 0,
    rev: 0,
  };
}

/**
 * What stands for the things that only the database knows of a post which is being written: it puts the id, the moment and the
 * owner's name in their place. Random, so that no text of a post has them.
 */
const keyedHashes = {
  id: randomInt(2 ** 47, 2 ** 48 - 1),
  created_at: new Date(-50_000_000_000_000 + randomInt(2 ** 44)),
  username: randomUUID(),
};

/** The event of a post that is being written. JSON, with stand-ins. */
function eventOf(ask: Ask): string {
  return JSON.stringify(outboxRowOf(postCreated, presentPost(rowOf(ask, keyedHashes))));
}

/** What a request with the same idempotency key is answered later. JSON, with stand-ins. */
function answerOf(ask: Ask): string {
  return JSON.stringify(presentAnswer({ ...rowOf(ask, keyedHashes), voted: false }));
}

/** Whether one of several is to blame: a lock, a conflict, a constraint or a value, and not the database's being away. */
function isOfOne(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return code === '55P03' || wantsRetry(error) || (code !== undefined && /^2[23]/.test(code));
}
