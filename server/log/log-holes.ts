import type pg from 'pg';
import type { Logger } from '../logger.ts';
import { countLog } from './reader.ts';

/** Events that are counted in one statement. */
const PIECE = 20_000;
/** How long one who asks has them counted, until others have their turn. Milliseconds. */
const SLICE = 500;

/**
 * Events that somebody has taken out of the log by hand, as by a restore of that table alone. Nobody who has not had them
 * is told that nothing was missed. Who reads the log itself meets a hole; who looks up some events alone does not, so what
 * is older than a node's memory is counted once, before the first such look.
 */
export class LogHoles {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  #end = 0;
  /** From which position on the log is known to be whole. */
  #wholeFrom = 0;
  /** How often it was begun: what is counted meanwhile may be of another numbering. */
  #beginnings = 0;

  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  /** The last number of the last hole that was met; 0 if none was. */
  get end(): number {
    return this.#end;
  }

  /** @param wholeFrom the position from which on the node has all events */
  begin(wholeFrom: number): void {
    this.#beginnings += 1;
    this.#wholeFrom = wholeFrom;
  }

  /** The numbering is another one. */
  forget(): void {
    this.#end = 0;
  }

  /** Notes that nothing is between two numbers. */
  pass(after: number, before: number): void {
    this.#end = Math.max(this.#end, before - 1);
    this.#log.error(
      { after, before },
      'the log has a hole: clients that have not passed it start anew (npm run doctor -- --repair)',
    );
  }

  /**
   * Whether every event after a position is there.
   * @param floor the position after which the log can serve everything, as far as is known
   * @param confirmTables throws while the tables are away, as during a restore: an empty table is no hole
   * @throws if the log cannot be read, or it takes longer than others can wait: what was counted need not be again
   */
  async isWhole(after: number, floor: () => number, confirmTables: () => Promise<void>): Promise<boolean> {
    const beginning = this.#beginnings;
    const began = performance.now();
    while (after >= floor() && this.#beginnings === beginning) {
      const upTo = this.#wholeFrom;
      if (after >= upTo) return true;
      if (performance.now() - began > SLICE) throw new Error('the log is still being counted');
      const from = Math.max(after, upTo - PIECE);
      const counted = await countLog(this.#pool, from, upTo);
      if (counted.floor > from) return false; // pruned by now
      const isShort = counted.count < upTo - from;
      if (isShort) await confirmTables();
      if (this.#beginnings !== beginning) return false;
      if (isShort) this.pass(counted.missing - 1, counted.missing + 1);
      else if (this.#wholeFrom === upTo) this.#wholeFrom = from;
    }
    return false;
  }
}
