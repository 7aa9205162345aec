import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../async/make-folder.ts';
import { DueWork } from '../async/due-work.ts';
import { isUuid } from '../text/uuid.ts';
import type { Logger } from '../logger.ts';
import type { Seen } from './reader.ts';

const FILE = /^feed-position-\d+\.json$/;

/**
 * Stores the last delivered position outside the database. A volume snapshot of the database that was restored while
 * every node was down looks exactly like a server that restarts after a crash; only an outside record shows that its
 * log is shorter than what clients have received, or that the database has lost something else.
 */
export interface PositionStore {
  /** The positions stored before this process began, as far as they can be read soon. */
  read(): Promise<Seen[]>;
  /** Stores a position that was read from the log and is delivered to clients. Not awaited. */
  keep(seen: Seen): void;
  /** Resolves when the newest position is kept, or cannot be. */
  close(): Promise<void>;
}

/**
 * The position that this node has reached, in a file.
 *
 * It is written behind the events and not waited for: one write at a time, always of the newest position, so the file is
 * milliseconds behind. It is not synced, since it has to survive the end of the process and not that of the machine.
 */
export class FilePositionStore implements PositionStore {
  readonly #folder: string;
  readonly #file: string;
  readonly #log: Logger;
  #next: Seen | undefined;
  readonly #writes = new DueWork(
    () => this.#next !== undefined,
    () => this.#write(),
  );
  #failed = false;

  /** @param worker its number among the processes that share the folder */
  constructor(folder: string, worker: number, log: Logger) {
    this.#folder = folder;
    this.#file = join(folder, `feed-position-${worker}.json`);
    this.#log = log;
  }

  /** The positions that the processes on this folder have stored. Unreadable ones are left out. */
  async read(): Promise<Seen[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const files = names.filter((name) => FILE.test(name)).map((name) => join(this.#folder, name));
    const seen = await Promise.all(files.map((file) => readFile(file, 'utf8').then(parse, () => undefined)));
    return seen.filter((one) => one !== undefined);
  }

  keep(seen: Seen): void {
    this.#next = seen;
    this.#writes.begin();
  }

  /** Resolves when the newest position is in the file. */
  async close(): Promise<void> {
    await this.#writes.end();
  }

  async #write(): Promise<void> {
    const next = this.#next;
    this.#next = undefined;
    try {
      await makeFolder(this.#folder);
      await writeFile(`${this.#file}.new`, JSON.stringify(next));
      await rename(`${this.#file}.new`, this.#file);
    } catch (error) {
      if (!this.#failed)
        this.#log.info(
          { err: error },
          'DATA_DIR is not writable, so this node cannot use it to notice that a database snapshot was restored',
        );
      this.#failed = true;
    }
  }
}

function parse(text: string): Seen | undefined {
  try {
    const { epoch, seq, at, wal } = JSON.parse(text) as Partial<Record<keyof Seen, unknown>>;
    if (!isUuid(epoch) || !Number.isSafeInteger(seq)) return undefined;
    return {
      epoch,
      seq: seq as number,
      at: typeof at === 'number' ? at : undefined,
      wal: typeof wal === 'number' ? wal : undefined,
    };
  } catch {
    return undefined; // cut short, or somebody else's
  }
}
