import { chown, link, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../async/make-folder.ts';
import { EmbeddedUnavailable } from './unavailable.ts';
import { identify, isSameProcess, type ProcessIdentity } from './process.ts';

interface Claim extends ProcessIdentity {
  released?: boolean;
}

/**
 * Which Tidings process may start and stop the cluster of a folder. Two that both think so would corrupt nothing
 * (PostgreSQL has its own lock) but would stop the server under each other.
 *
 * Claims are files `owner.1`, `owner.2`, …; the highest counts, and it binds as long as its process lives. Who finds it
 * dead creates the next number, which the file system lets only one do, and then removes the lower ones. The highest is
 * never removed, so a number is never given out twice; a claim is given back by being rewritten as released.
 * Nothing to clean up after `kill -9`, and no moment at which two can take over from the same dead owner.
 */
export class Ownership {
  readonly #file: string;
  readonly #claim: Claim;

  private constructor(file: string, claim: Claim) {
    this.#file = file;
    this.#claim = claim;
  }

  /**
   * Claims the folder, waiting up to `patienceMs` for a living owner to leave (on a restart it may be shutting down).
   * @throws EmbeddedUnavailable that names the owner's pid
   */
  static async claim(folder: string, patienceMs: number): Promise<Ownership> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const holder = await livingOwner(folder);
      if (holder === undefined) {
        const mine = await attempt(folder);
        if (mine !== undefined) return new Ownership(mine.file, mine.claim);
      } else if (Date.now() >= deadline) {
        throw new EmbeddedUnavailable(
          `The embedded database in ${folder} is in use by another Tidings process (pid ${holder.pid}). ` +
            'Stop that one, or give this one its own DATA_DIR, or let both share a PostgreSQL server through DATABASE_URL.',
        );
      } else {
        await sleep(100);
      }
    }
  }

  /** Where that cannot be written, as on a full disk, the claim ends with this process. */
  async release(): Promise<void> {
    const fresh = `${this.#file}.released`;
    try {
      await writeFile(fresh, JSON.stringify({ ...this.#claim, released: true }));
      const { uid, gid } = await stat(this.#file);
      if (process.getuid?.() === 0) await chown(fresh, uid, gid); // which tells for whom root ran the cluster
      await rename(fresh, this.#file);
    } catch {
      await rm(fresh, { force: true }).catch(() => undefined);
    }
  }
}

/** The process that owns the folder's cluster and still lives. */
export async function livingOwner(folder: string): Promise<ProcessIdentity | undefined> {
  for (;;) {
    const highest = (await numbers(folder)).at(-1);
    if (highest === undefined) return undefined;
    let text: string;
    try {
      text = await readFile(join(folder, `owner.${highest}`), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue; // superseded since the listing
      throw error;
    }
    const claim = parse(text);
    if (claim === undefined || claim.released === true) return undefined;
    return (await isSameProcess(claim)) ? claim : undefined;
  }
}

/** The uid of the user for whom the folder was claimed last; undefined if nobody has. */
export async function lastClaimant(folder: string): Promise<number | undefined> {
  const highest = (await numbers(folder)).at(-1);
  if (highest === undefined) return undefined;
  return (await stat(join(folder, `owner.${highest}`)).catch(() => undefined))?.uid;
}

async function attempt(folder: string): Promise<{ file: string; claim: Claim } | undefined> {
  const self = await identify(process.pid);
  const claim: Claim = { pid: process.pid, started: self?.started ?? '' };
  const taken = await numbers(folder);
  const number = (taken.at(-1) ?? 0) + 1;
  const file = join(folder, `owner.${number}`);
  await makeFolder(folder);
  // Written aside and linked into place: nobody ever reads half a claim.
  const draft = join(folder, `claim.${process.pid}.${Math.random().toString(36).slice(2)}`);
  try {
    await writeFile(draft, JSON.stringify(claim), { flush: true });
    // The owner may have changed between the look and this listing; who lives is asked again under the number.
    if ((await livingOwner(folder)) !== undefined) return undefined;
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  const after = await numbers(folder);
  if (after.at(-1) !== number) {
    // The listing was so old that its successor had come and gone.
    await rm(file, { force: true });
    return undefined;
  }
  for (const lower of after) {
    if (lower < number) await rm(join(folder, `owner.${lower}`), { force: true });
  }
  return { file, claim };
}

async function numbers(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .map((name) => /^owner\.(\d+)$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

function parse(text: string): Claim | undefined {
  try {
    return JSON.parse(text) as Claim;
  } catch {
    return undefined; // a power cut can leave an empty file
  }
}
