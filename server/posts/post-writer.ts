import { randomInt, randomUUID } from 'node:crypto';
import { QueryTypes } from 'sequelize';
import { type Database, databaseErrorCode, wantsRetry } from '../database/connection.ts';
import { prepared } from '../database/prepared.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { LOCKED, WriteBatcher } from '../database/write-batcher.ts';
import { unavailable } from '../errors.ts';
import { announce } from '../log/append.ts';
import { numberedIn, type NumberedRow, numberEvents } from '../log/numbering.ts';
import { rowOf as outboxRowOf } from '../topics/event-type.ts';
import { FOLD } from '../text/fold.ts';
import { postCreated } from './events.ts';
import type { Claim } from './idempotency.ts';
import { type PostRow, presentAnswer, presentPost } from './present.ts';
import { NOTHING, type References, referencesIn, USERS_OF_NAMES } from './references.ts';
import { linesOf, searchable, wordsOfAll } from './searchable.ts';

/** What a post is made of. */
export interface PostInput {
  title: string;
  content: string;
  published: boolean;
}

/** What a reply is made of: it has no title and is never a draft. */
export interface ReplyInput {
  title: null;
  content: string;
  published: true;
  parentId: number;
  rootId: number;
}

interface Ask {
  ownerId: number;
  input: PostInput | ReplyInput;
  claim: Claim | undefined;
}

/** With what its text refers to. */
type Parsed = Ask & References;

/** What is given of a reply that was not written, since its parent was deleted or its thread withdrawn meanwhile. */
export const REFUSED = Symbol('refused');
/** What is given of a post that was not written, since a block forbids it. */
export const BLOCKED = Symbol('blocked');
type Refusal = typeof REFUSED | typeof BLOCKED;

/** Statements in progress at once, posts in one of them at most, and posts that wait at most, of everyone. */
const ROUNDS = 2;
const MOST = 100;
const MAX_WAITING = 5000;

/**
 * Of so few posts the events are numbered in the same statement, unless somebody is just numbering: for their readers that is a
 * round trip and a commit less. More would keep the numbering for longer. At most so many events of all that wait.
 */
const FEW = 10;
const NUMBERED_AT_ONCE = 50;

const WRITE = prepared(
  'select * from write_posts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::smallint, $15, $16, $17, $18)',
);

/** One row for each post, and one for each event. The number of the posts is an argument: they are written first. */
const WRITE_AND_NUMBER = prepared(`
  with written as materialized (${WRITE}),
  numbered as (
    select n.* from (select count(*) as posts from written) w
    cross join lateral (${numberEvents(`case when w.posts > 0 then ${NUMBERED_AT_ONCE} else 0 end`)}) n
  )
  select w.*, null::json as numbered from written w
  union all
  select null, null, null, null, null, null, row_to_json(n) from numbered n`);

/**
 * Writes posts that arrive together in one statement, instead of five round trips for each.
 *
 * They fail independently. A post whose owner, or whom it mentions, is locked, as while an account is being deleted, or
 * a reply whose thread is, is written separately; if one fails, the statement is rolled back and each is written
 * separately.
 */
export class PostWriter {
  readonly #db: DatabaseShare;
  readonly #sequelize: Database['sequelize'];
  readonly #writes: WriteBatcher<Ask, PostRow | Refusal | undefined>;

  /**
   * @param onRefused called for each post that is refused since too many wait
   * @param most posts that wait at most
   */
  constructor(db: Database, onRefused: () => void = () => undefined, most = MAX_WAITING) {
    this.#db = db.share('posts');
    this.#sequelize = db.sequelize;
    this.#writes = new WriteBatcher<Ask, PostRow | Refusal | undefined>({
      atOnce: ROUNDS,
      most: MOST,
      mostWaiting: most,
      refusal: () => {
        onRefused();
        return unavailable('Too many posts are waiting.', 1);
      },
      write: (asks, patient) => this.#insert(asks, patient),
      lockOf: ({ ownerId }) => ownerId,
      isOfOne,
    });
  }

  /** Posts that wait to be written. */
  get waiting(): number {
    return this.#writes.waiting;
  }

  /**
   * Writes a post with its tally, its event and the claim of its idempotency key. Resolves after the commit.
   * @param senders whose share of the queue it takes
   * @returns the row, or undefined if nothing was written: the key has been used, or the owner is gone
   * @throws {AppError} 503
   */
  write(
    ownerId: number,
    input: PostInput | ReplyInput,
    claim: Claim | undefined,
    senders: readonly string[],
  ): Promise<PostRow | Refusal | undefined> {
    return this.#writes.write({ ownerId, input, claim }, senders);
  }

  async #insert(
    asks: readonly Ask[],
    patient: boolean,
  ): Promise<(PostRow | undefined | Refusal | typeof LOCKED)[]> {
    const searched = asks.map(({ input }) => searchable(input));
    const references = await referencesIn(
      asks.map(({ input }) => input),
      (names) => this.#db.query(USERS_OF_NAMES, { type: QueryTypes.SELECT, bind: [names] }),
    );
    const mentions = references.map((found) => found.mentions);
    const parsed = asks.map((ask, at) => ({ ...ask, ...(references[at] ?? NOTHING) }));
    // What waits for locks may wait for long, and what is numbered by then would, too.
    const numbers = !patient && asks.length <= FEW;
    const answer = await this.#db.query<Written & { numbered?: NumberedRow | null }>(
      numbers ? WRITE_AND_NUMBER : WRITE,
      {
        type: QueryTypes.SELECT,
        bind: [
          asks.map(({ ownerId }) => ownerId),
          asks.map(({ input }) => input.title),
          asks.map(({ input }) => input.content),
          asks.map(({ input }) => input.published),
          parsed.map((ask) => (ask.input.published ? eventOf(ask) : null)),
          parsed.map((ask) => (ask.claim ? answerOf(ask) : null)),
          [standIns.id, standIns.created_at.toISOString(), JSON.stringify(standIns.username)],
          asks.map(({ claim }) => claim?.key ?? null),
          asks.map(({ claim }) => claim?.requestHash ?? null),
          patient,
          searched.map(({ text }) => text),
          searched.map(({ keys }) => linesOf(keys)),
          wordsOfAll(searched),
          FOLD,
          asks.map(({ input }) => ('parentId' in input ? input.parentId : null)),
          parsed.map(({ tags }) => linesOf(tags)),
          mentions.map((users) => (users.length === 0 ? null : JSON.stringify(users))),
          [...new Set(mentions.flat().map(({ id }) => id))],
        ],
      },
    );
    const rows = answer.filter((row) => !row.numbered);
    const numbered = numberedIn(answer.flatMap((row) => row.numbered ?? []));
    const run = typeof numbered === 'object' ? numbered : undefined;
    if (run) announce(this.#sequelize, run);
    // The sequencer numbers what is still to be.
    const isRest = run
      ? run.last - run.first + 1 === NUMBERED_AT_ONCE
      : rows.some((row) => row.id !== null && asks[row.ord - 1]?.input.published);
    if (isRest) announce(this.#sequelize);
    const written = new Map(rows.map((row) => [row.ord, row]));
    return parsed.map((ask, at) => {
      const row = written.get(at + 1);
      if (row?.id === null) return row.blocked ? BLOCKED : row.refused ? REFUSED : LOCKED;
      return row && rowOf(ask, row);
    });
  }
}

/**
 * What the database says of a post that it has written; without an id, of one that it refused, or that somebody holds a
 * lock on.
 */
type Written = { ord: number; refused: boolean; blocked: boolean } & (
  Pick<PostRow, 'id' | 'username' | 'created_at'> | { id: null }
);

function rowOf(
  { ownerId, input, tags, mentions }: Parsed,
  { id, username, created_at }: Pick<PostRow, 'id' | 'username' | 'created_at'>,
): PostRow {
  const { title, content, published } = input;
  return {
    id,
    title,
    content,
    published,
    created_at,
    published_at: input.published ? created_at : null,
    updated_at: created_at,
    version: 1,
    owner_id: ownerId,
    username,
    parent_id: 'parentId' in input ? input.parentId : null,
    root_id: 'rootId' in input ? input.rootId : null,
    tags,
    mentions,
    locked: false,
    votes: 0,
    replies: 0,
    rev: 0,
  };
}

/**
 * What stands for the things that only the database knows of a post which is being written: it puts the id, the moment and the
 * owner's name in their place. Random, so that no text of a post has them.
 */
const standIns = {
  id: randomInt(2 ** 47, 2 ** 48 - 1),
  created_at: new Date(-50_000_000_000_000 + randomInt(2 ** 44)),
  username: randomUUID(),
};

/** The event of a post that is being written. JSON, with stand-ins. */
function eventOf(ask: Parsed): string {
  return JSON.stringify(outboxRowOf(postCreated, presentPost(rowOf(ask, standIns))));
}

/** What a request with the same idempotency key is answered later. JSON, with stand-ins. */
function answerOf(ask: Parsed): string {
  return JSON.stringify(presentAnswer({ ...rowOf(ask, standIns), voted: false }));
}

/** Whether one of several is to blame: a lock, a conflict, a constraint or a value, and not the database's being away. */
function isOfOne(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return code === '55P03' || wantsRetry(error) || (code !== undefined && /^2[23]/.test(code));
}
