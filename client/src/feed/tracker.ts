import type { Tally } from '../contract.ts';
import { TidingsError } from '../tidings-error.ts';
import type { Connection } from './connection.ts';

/** Posts in one message; the server takes no more. */
const PER_MESSAGE = 500;
/** Between two rounds of messages, so that scrolling does not exhaust what a socket may send. Milliseconds. */
const INTERVAL = 150;
/** After a refusal. Milliseconds. */
const PAUSE = 2000;

export interface TrackerOptions {
  onTallies: (tallies: readonly Tally[]) => void;
  onRefused: (error: TidingsError) => void;
}

/**
 * Which posts' tallies are wanted, counted by who wants them; and which the server knows of. The difference is sent in
 * batches: everything that was requested within one tick, or while a batch was in progress, goes into one message.
 */
export class Tracker {
  readonly #onTallies: TrackerOptions['onTallies'];
  readonly #onRefused: TrackerOptions['onRefused'];
  readonly #wanted = new Map<number, number>();
  readonly #told = new Set<number>();
  readonly #changed = new Set<number>();
  #connection: Connection | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;

  constructor({ onTallies, onRefused }: TrackerOptions) {
    this.#onTallies = onTallies;
    this.#onRefused = onRefused;
  }

  /** @returns takes this one wish back; a second time does nothing */
  track(postId: number): () => void {
    const count = this.#wanted.get(postId) ?? 0;
    this.#wanted.set(postId, count + 1);
    if (count === 0) this.#note(postId);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#wanted.get(postId) ?? 1) - 1;
      if (left > 0) this.#wanted.set(postId, left);
      else {
        this.#wanted.delete(postId);
        this.#note(postId);
      }
    };
  }

  tracks(postId: number): boolean {
    return this.#wanted.has(postId);
  }

  /** A post has become visible: if it is wanted, it can be tracked from now on. */
  appeared(postId: number): void {
    if (this.#wanted.has(postId) && !this.#told.has(postId)) this.#note(postId);
  }

  /** A new connection knows of no post; without one nothing can be told. */
  use(connection: Connection | undefined): void {
    this.#connection = connection;
    this.#told.clear();
    this.#changed.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const postId of this.#wanted.keys()) this.#changed.add(postId);
    if (connection && this.#changed.size > 0) this.#schedule(0);
  }

  /** What the server has answered is forgotten. An answer that is still to come is none of that. */
  askAgain(): void {
    for (const postId of this.#wanted.keys()) {
      this.#told.delete(postId);
      this.#note(postId);
    }
  }

  #note(postId: number): void {
    if (!this.#connection) return;
    this.#changed.add(postId);
    if (!this.#busy) this.#schedule(0);
  }

  #schedule(wait: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#round();
    }, wait);
  }

  async #round(): Promise<void> {
    const connection = this.#connection;
    if (!connection || this.#busy) return;
    const changed = [...this.#changed];
    this.#changed.clear();
    const added = changed.filter((postId) => this.#wanted.has(postId) && !this.#told.has(postId));
    const removed = changed.filter((postId) => !this.#wanted.has(postId) && this.#told.has(postId));
    this.#busy = true;
    let wait = INTERVAL;
    try {
      // First the ones that make room for others.
      await this.#tell(connection, 'untrack', removed);
      await this.#tell(connection, 'track', added);
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error;
      if (connection === this.#connection && error.status !== 0) this.#onRefused(error);
      for (const postId of changed) this.#changed.add(postId);
      wait = PAUSE;
    } finally {
      this.#busy = false;
    }
    if (!this.#connection) return;
    // A connection that came meanwhile has heard nothing yet.
    if (connection !== this.#connection) wait = 0;
    if (this.#changed.size > 0) this.#schedule(wait);
  }

  async #tell(connection: Connection, name: 'track' | 'untrack', postIds: number[]): Promise<void> {
    for (let at = 0; at < postIds.length; at += PER_MESSAGE) {
      const slice = postIds.slice(at, at + PER_MESSAGE);
      const answer = await connection.ask(name, { post_ids: slice });
      if (connection !== this.#connection) return;
      if ('tallies' in answer) {
        // What is not there, or not to be seen, is not tracked.
        for (const { post_id } of answer.tallies) this.#told.add(post_id);
        this.#onTallies(answer.tallies);
      } else for (const postId of slice) this.#told.delete(postId);
    }
  }
}
