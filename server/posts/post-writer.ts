import { QueryTypes, type Sequelize } from 'sequelize';
import { databaseErrorCode, wantsRetry } from '../database/connection.ts';
import { Gathering } from '../database/gathering.ts';
import { AppError } from '../errors.ts';
import { announce } from '../outbox/append.ts';
import { FOLD } from '../text/fold.ts';
import type { Claim } from './idempotency.ts';
import type { PostRow } from './present.ts';
import { searchable } from './searchable.ts';

/** What a post is made of. */
export interface PostInput {
  title: string;
  content: string;
  published: boolean;
}

interface Ask {
  ownerId: number;
  input: PostInput;
  claim: Claim | undefined;
  resolve: (row: PostRow | undefined) => void;
  reject: (error: unknown) => void;
}

/** Statements under way at once, and posts in one of them at most. */
const ROUNDS = 2;
const MOST = 100;
/** Posts that wait at most: beyond it the database is too slow for what comes in. */
const MAX_WAITING = 5000;
/** Statements at once that wait for a lock: few, or the posts of one locked owner would take every connection. */
const PATIENT = 3;
const ATTEMPTS = 4;

/**
 * Writes posts that arrive together in one statement, which is one transaction: a round trip, a commit and a plan for all
 * of them, in place of five round trips for each. While it runs the next ones gather; each answer waits for the commit of
 * its own.
 *
 * They share no fate. Whose owner is locked, as while an account is being deleted, is left out and written apart, in a
 * statement that waits; and where one fails, nothing of its statement is kept and each is written apart.
 */
export class PostWriter {
  readonly #sequelize: Sequelize;
  #waiting = 0;
  readonly #asks = new Gathering<Ask>({
    atOnce: ROUNDS,
    most: MOST,
    senderOf: ({ ownerId }) => ownerId,
    round: (asks) => this.#round(asks),
  });
  readonly #apart = new Gathering<readonly Ask[]>({
    atOnce: PATIENT,
    most: 1,
    senderOf: ([ask]) => ask?.ownerId ?? 0,
    round: ([asks = []]) => this.#patiently(asks),
  });

  constructor(sequelize: Sequelize) {
    this.#sequelize = sequelize;
  }

  /**
   * Writes a post with its tally, its event and the claim of its idempotency key. Resolves after the commit.
   * @returns the row, or undefined if nothing was written: the key has been used, or the owner is gone
   * @throws {AppError} 503
   */
  async write(ownerId: number, input: PostInput, claim?: Claim): Promise<PostRow | undefined> {
    if (this.#waiting >= MAX_WAITING) {
      throw new AppError('unavailable', 'Too many posts are waiting.', { headers: { 'Retry-After': '1' } });
    }
    this.#waiting += 1;
    try {
      return await new Promise((resolve, reject) =>
        this.#asks.add({ ownerId, input, claim, resolve, reject }),
      );
    } finally {
      this.#waiting -= 1;
    }
  }

  async #round(asks: readonly Ask[]): Promise<void> {
    try {
      const held = new Map<number, Ask[]>();
      for (const ask of await this.#insert(asks, false)) {
        const ofOwner = held.get(ask.ownerId);
        if (ofOwner) ofOwner.push(ask);
        else held.set(ask.ownerId, [ask]);
      }
      for (const ofOwner of held.values()) this.#apart.add(ofOwner);
    } catch (error) {
      if (isOfOne(error)) for (const ask of asks) this.#apart.add([ask]);
      else for (const ask of asks) ask.reject(error);
    }
  }

  async #patiently(asks: readonly Ask[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        for (const ask of await this.#insert(asks, true)) this.#asks.add(ask);
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
    const rows = await this.#sequelize.query<Written>(
      'select * from create_posts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::smallint)',
      {
        type: QueryTypes.SELECT,
        bind: [
          asks.map(({ ownerId }) => ownerId),
          asks.map(({ input }) => input.title),
          asks.map(({ input }) => input.content),
          asks.map(({ input }) => input.published),
          asks.map(({ input: { title, content, published } }) =>
            JSON.stringify({ title, content, published }).slice(1, -1),
          ),
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

/** Whether one of several is to blame: a lock, a conflict, a constraint or a value, and not the database's being away. */
function isOfOne(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return code === '55P03' || wantsRetry(error) || (code !== undefined && /^2[23]/.test(code));
}
