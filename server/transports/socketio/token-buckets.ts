/** The size of a user's token bucket, and how many tokens are refilled per second. */
const BURST = 400;
const PER_SECOND = 200;
/** How many times as much all users of one address have together, as of requests over HTTP. */
const ADDRESS_SHARE = 10;
/** Items of a list that cost as much as a message. */
const ITEMS_PER_TOKEN = 100;

/** Who asks over a socket. */
interface Sender {
  address: string;
  identity: { id: number };
}

/**
 * Token buckets per user and per address for the requests of all sockets of this node: each socket has its own limit,
 * but a client may open many.
 */
export class RequestBuckets {
  readonly #users = new TokenBuckets<number>(1);
  readonly #addresses = new TokenBuckets<string>(ADDRESS_SHARE);
  readonly #limited: boolean;

  constructor(limited: boolean) {
    this.#limited = limited;
  }

  /**
   * @param items in the lists of the message: they determine its cost
   * @returns whose bucket is spent, if one is. What a user has spent too much of takes nothing from the others at the address.
   */
  spend({ address, identity }: Sender, items: number): 'user' | 'address' | undefined {
    if (!this.#limited) return undefined;
    const tokens = 1 + items / ITEMS_PER_TOKEN;
    if (!this.#users.spend(identity.id, tokens)) return 'user';
    return this.#addresses.spend(address, tokens) ? undefined : 'address';
  }

  /** Deletes buckets that are full again. */
  sweep(): void {
    this.#users.sweep();
    this.#addresses.sweep();
  }
}

/** A token bucket for each key. */
class TokenBuckets<K> {
  readonly #share: number;
  readonly #buckets = new Map<K, { tokens: number; at: number }>();

  /** @param share how many times what one user has is in each */
  constructor(share: number) {
    this.#share = share;
  }

  /** Takes so many tokens, if there is one at least. */
  spend(key: K, tokens: number): boolean {
    const now = performance.now();
    const bucket = this.#buckets.get(key) ?? { tokens: BURST * this.#share, at: now };
    const regained = ((now - bucket.at) / 1000) * PER_SECOND * this.#share;
    bucket.tokens = Math.min(BURST * this.#share, bucket.tokens + regained);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= tokens;
    return true;
  }

  sweep(): void {
    const full = performance.now() - (BURST / PER_SECOND) * 1000;
    for (const [key, { at }] of this.#buckets) if (at < full) this.#buckets.delete(key);
  }
}
