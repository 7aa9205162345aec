import { setImmediate as turn } from 'node:timers/promises';
import { QueryTypes, type Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';
import { FOLD } from '../text/fold.ts';
import { linesOf, type Searchable, searchable, wordsOfAll } from './searchable.ts';

/**
 * Posts in one piece, at first and at most, and how long one takes at least and at most for the next to stay as it is.
 * Milliseconds.
 */
const FIRST = 10;
const MOST = 200;
const QUICK = 50;
const SLOW = 250;
/** How long texts are folded before the event loop turns. Milliseconds. */
const SLICE = 5;

/** A post cannot be folded. It is tried again, and searches wait for it. */
export class NotFolded extends Error {
  override readonly name = 'NotFolded';
  readonly postId: number;

  constructor(postId: number, cause: unknown) {
    super(`Post ${postId} cannot be folded: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
    this.postId = postId;
  }
}

/** A post whose text is to be folded. */
interface Unfolded {
  id: number;
  title: string | null;
  content: string;
}

/** What came of a piece. */
interface FoldedPiece {
  /** How many posts were selected: 0 if there are none. */
  posts: number;
  /** The last one's id. */
  last: number;
  /** How many of them were folded otherwise, or not at all. */
  changed: number;
}

/**
 * Folds posts a piece at a time, each in a transaction of its own. How many posts a piece has is learned from the time that
 * the last one took: two hundred short posts are a matter of milliseconds, two hundred long ones in Chinese of more than a
 * statement may take, and who edits one of them waits.
 */
export class Folding {
  readonly #db: Database;
  #most = FIRST;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Where one fails that has several posts, the next ones have one each, so that it is known which it is.
   * @param which in SQL, what stands behind `where`, on `posts p`
   * @throws {NotFolded} if it has one post, which cannot be folded
   */
  async piece(which: string, { wait, bind = [] }: { wait: boolean; bind?: unknown[] }): Promise<FoldedPiece> {
    const begun = performance.now();
    let rows: Unfolded[] = [];
    let piece: FoldedPiece;
    try {
      piece = await this.#db.transaction(async (transaction) => {
        rows = await this.#db.sequelize.query<Unfolded>(
          `select p.id, p.title, p.content from posts p where ${which}
           order by p.id limit ${this.#most} for no key update ${wait ? '' : 'skip locked'}`,
          { type: QueryTypes.SELECT, transaction, bind },
        );
        return this.#write(rows, transaction);
      });
    } catch (error) {
      const [row] = rows;
      if (row) this.#most = 1;
      throw row && rows.length === 1 ? new NotFolded(row.id, error) : error;
    }
    const took = performance.now() - begun;
    if (took < QUICK) this.#most = Math.min(MOST, this.#most * 2);
    else if (took > SLOW) this.#most = Math.max(1, Math.floor((this.#most * SLOW) / took));
    return piece;
  }

  async #write(rows: readonly Unfolded[], transaction: Transaction): Promise<FoldedPiece> {
    if (rows.length === 0) return { posts: 0, last: 0, changed: 0 };
    const folded = await foldAll(rows);
    // The words of the others too: their text may have been changed past the triggers that add them.
    const [row] = await this.#db.sequelize.query<{ changed: number }>(
      `with f as materialized (
         select f.id, f.text, array_to_tsvector(string_to_array(f.keys, E'\\n')) as keys
         from unnest($1::bigint[], $2::text[], $3::text[]) as f (id, text, keys)
       ), changed as (
         update posts p set search_text = f.text, search_keys = f.keys, search_grams = null, search_fold = ${FOLD}
         from f
         where p.id = f.id
           and (p.search_text, coalesce(p.search_keys, f.keys), p.search_fold)
             is distinct from (f.text, f.keys, ${FOLD}::smallint)
         returning p.id
       )
       select (select count(*) from changed)::integer as changed, add_search_words($4)`,
      {
        type: QueryTypes.SELECT,
        transaction,
        bind: [
          rows.map(({ id }) => id),
          folded.map(({ text }) => text),
          folded.map(({ keys }) => linesOf(keys)),
          wordsOfAll(folded),
        ],
      },
    );
    return { posts: rows.length, last: rows.at(-1)?.id ?? 0, changed: row?.changed ?? 0 };
  }
}

async function foldAll(rows: readonly Unfolded[]): Promise<Searchable[]> {
  const folded: Searchable[] = [];
  let since = performance.now();
  for (const row of rows) {
    folded.push(searchable(row));
    if (performance.now() - since < SLICE) continue;
    await turn();
    since = performance.now();
  }
  return folded;
}

/**
 * Folds the text of every post again, while the service runs: a post is found by what it was folded to before until its
 * turn comes. For text that was changed past the service and its triggers.
 * @param onPiece is told how many posts have been looked at, and how many of them were folded otherwise
 */
export async function refoldPosts(
  db: Database,
  onPiece: (looked: number, changed: number) => void = () => undefined,
): Promise<{ looked: number; changed: number }> {
  const folding = new Folding(db);
  let looked = 0;
  let changed = 0;
  for (let last = 0; ;) {
    const piece = await folding.piece('p.id > $1', { wait: true, bind: [last] });
    if (piece.posts === 0) return { looked, changed };
    last = piece.last;
    looked += piece.posts;
    changed += piece.changed;
    onPiece(looked, changed);
  }
}
