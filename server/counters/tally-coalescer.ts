import type { Tally } from '../protocol.ts';

/** Posts whose newest rev is remembered, to drop duplicates. */
const MAX_KNOWN = 50_000;
/** Maximum number of posts whose tallies wait to be sent. */
const MAX_WAITING = 20_000;

/**
 * Throttle: the pause after tallies were sent, as a multiple of the time that took, and its maximum in milliseconds.
 */
const REST_SHARE = 1;
const MAX_REST = 1000;

export interface TallyCoalescerOptions {
  /** Milliseconds between two messages at least. */
  window: number;
  /**
   * Resolves with how long it worked, in milliseconds, when all have been sent; must not reject.
   * @param incomplete whether more tallies have changed than are sent one by one
   */
  tell: (tallies: Tally[], incomplete: boolean) => Promise<number>;
  onCoalesced: () => void;
  /** More tallies waited to be sent than the limit, and were dropped: reload what the clients show. */
  onOverflow: () => void;
  maxWaiting?: number;
}

/**
 * Coalesces changed tallies and sends them once per window (throttling). They come from votes on this node, from other
 * nodes, and from the database; late and duplicate ones are recognised by their `rev`. However many votes are cast, a
 * client gets at most one message per window, and fewer if sending to all clients takes more than half of the window.
 */
export class TallyCoalescer {
  readonly #options: Required<TallyCoalescerOptions>;
  readonly #dirty = new Map<number, Tally>();
  /** Post → the highest rev that has been sent or is about to be. Oldest first. */
  readonly #known = new Map<number, number>();
  #incomplete = false;
  #timer: NodeJS.Timeout | undefined;
  #telling = false;
  #stopped = false;
  /** When they may be sent again, in milliseconds since 1970. */
  #next = 0;

  constructor(options: TallyCoalescerOptions) {
    this.#options = { maxWaiting: MAX_WAITING, ...options };
  }

  /** How many posts' tallies wait to be sent. */
  get waiting(): number {
    return this.#dirty.size;
  }

  report(tallies: readonly Tally[]): void {
    for (const tally of tallies) {
      const known = this.#known.get(tally.post_id);
      if (known !== undefined && known >= tally.rev) continue;
      this.#known.delete(tally.post_id);
      this.#known.set(tally.post_id, tally.rev);
      if (this.#dirty.has(tally.post_id)) this.#options.onCoalesced();
      this.#dirty.set(tally.post_id, tally);
    }
    while (this.#known.size > MAX_KNOWN) {
      const [oldest] = this.#known.keys();
      if (oldest === undefined) break;
      this.#known.delete(oldest);
    }
    if (this.#dirty.size > this.#options.maxWaiting) {
      // What is dropped here must count as news when it is read again.
      this.forget();
      this.#options.onOverflow();
    }
    this.#schedule();
  }

  /** Says with the next message that more tallies have changed than are sent one by one. */
  reportIncomplete(): void {
    this.#incomplete = true;
    this.#schedule();
  }

  /** The database is another one: revs of the old one mean nothing. */
  forget(): void {
    this.#known.clear();
    this.#dirty.clear();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** The first change after a pause is sent at once; the next ones wait for the end of the window. */
  #schedule(): void {
    const idle = this.#dirty.size === 0 && !this.#incomplete;
    if (idle || this.#timer || this.#telling || this.#stopped) return;
    this.#timer = setTimeout(() => void this.#flush(), Math.max(0, this.#next - Date.now()));
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    this.#next = Date.now() + this.#options.window;
    const tallies = [...this.#dirty.values()];
    this.#dirty.clear();
    const incomplete = this.#incomplete;
    this.#incomplete = false;
    if (tallies.length === 0 && !incomplete) return;
    this.#telling = true;
    const worked = await this.#options.tell(tallies, incomplete);
    this.#telling = false;
    this.#next = Math.max(this.#next, Date.now() + Math.min(MAX_REST, worked * REST_SHARE));
    this.#schedule();
  }
}
