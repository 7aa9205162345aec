import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { QueryTypes, type Transaction } from 'sequelize';
import type { Database } from '../database/connection.ts';
import { FOLD } from '../text/fold.ts';
import { searchable } from './searchable.ts';

/** Which posts (`posts p`) are not folded, or by another version's fold. The number stands in the index `posts_unfolded_idx`. */
export const UNFOLDED = `p.search_fold is distinct from ${FOLD}`;

/** Posts in one piece, and how long their texts are folded before the event loop turns. */
const PIECE = 200;
const SLICE = 5;
/** How often it is looked whether there are any. Milliseconds. */
const INTERVAL = 1000;
/** The least pause between two pieces. Milliseconds. */
const PAUSE = 20;

/**
 * Folds the posts that are not folded yet: those that were there before searches had an index of folded text, and those that
 * a node of a version before writes during an upgrade. Every node does it, a bounded piece at a time, and each piece is left
 * as much time as it took; a search that finds them missing lets it hurry.
 */
export class UnfoldedPosts {
  readonly #db: Database;
  readonly #onFailed: (error: unknown) => void;
  readonly #stopping = new AbortController();
  #piece: Promise<number> | undefined;
  #running: Promise<void> | undefined;

  /** @param onFailed told of what is tried again in a second */
  constructor(db: Database, onFailed: (error: unknown) => void) {
    this.#db = db;
    this.#onFailed = onFailed;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /**
   * Folds what is there to fold, for so many milliseconds at most.
   * @returns whether nothing is left
   */
  async catchUp(milliseconds: number): Promise<boolean> {
    const end = performance.now() + milliseconds;
    while (performance.now() < end && !this.#stopping.signal.aborted) {
      if ((await this.#next()) > 0) continue;
      if (!(await this.#left())) return true;
      await sleep(PAUSE); // another node has them in hand
    }
    return !(await this.#left());
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const begun = performance.now();
      let folded = 0;
      try {
        folded = await this.#next();
      } catch (error) {
        this.#onFailed(error);
      }
      const pause = folded > 0 ? Math.max(PAUSE, performance.now() - begun) : INTERVAL;
      await sleep(pause, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  async #left(): Promise<boolean> {
    const [row] = await this.#db.sequelize.query<{ left: boolean }>(
      `select exists (select from posts p where ${UNFOLDED}) as left`,
      { type: QueryTypes.SELECT },
    );
    return row?.left ?? false;
  }

  /** One piece at a time, whoever asks. */
  #next(): Promise<number> {
    this.#piece ??= this.#foldPiece().finally(() => (this.#piece = undefined));
    return this.#piece;
  }

  async #foldPiece(): Promise<number> {
    return this.#db.transaction(async (tx) => {
      const rows = await this.#select(tx);
      if (rows.length > 0) await this.#update(tx, await foldAll(rows));
      return rows.length;
    });
  }

  #select(tx: Transaction): Promise<Unfolded[]> {
    return this.#db.sequelize.query<Unfolded>(
      `select p.id, p.title, p.content from posts p where ${UNFOLDED}
       order by p.id limit ${PIECE} for no key update skip locked`,
      { type: QueryTypes.SELECT, transaction: tx },
    );
  }

  async #update(tx: Transaction, folded: readonly Folded[]): Promise<void> {
    await this.#db.sequelize.query(
      `update posts p
       set search_text = f.text, search_grams = array_to_tsvector(string_to_array(f.grams, ' ')), search_fold = ${FOLD}
       from unnest($1::bigint[], $2::text[], $3::text[]) as f (id, text, grams)
       where p.id = f.id`,
      {
        type: QueryTypes.RAW,
        transaction: tx,
        bind: [folded.map(({ id }) => id), folded.map(({ text }) => text), folded.map(({ grams }) => grams)],
      },
    );
  }
}

interface Unfolded {
  id: number;
  title: string;
  content: string;
}

type Folded = { id: number } & ReturnType<typeof searchable>;

async function foldAll(rows: readonly Unfolded[]): Promise<Folded[]> {
  const folded: Folded[] = [];
  let since = performance.now();
  for (const row of rows) {
    folded.push({ id: row.id, ...searchable(row) });
    if (performance.now() - since < SLICE) continue;
    await turn();
    since = performance.now();
  }
  return folded;
}
