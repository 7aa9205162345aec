import { createHmac, randomBytes } from 'node:crypto';

/** The maximum number of entries; the oldest is evicted first. */
const MOST = 20_000;

/**
 * Passwords that were correct recently, each under its hash. A login with such a password is recognised before bcrypt
 * compares it, so it does not wait behind guesses. This affects only the order of the queue.
 *
 * Sixteen bits are kept of each password, made with a key that exists only in this process. One wrong guess in 65,536 looks
 * right. An attacker who reads the memory still has to try the passwords that are left, each at the cost of bcrypt.
 */
export class RecentPasswords {
  readonly #key = randomBytes(32);
  readonly #tags = new Map<string, number>();

  /**
   * @param hash that the password fits
   * @param password in the form in which it is hashed
   */
  remember(hash: string, password: string): void {
    this.#tags.delete(hash);
    this.#tags.set(hash, this.#tagOf(hash, password));
    if (this.#tags.size <= MOST) return;
    for (const longestAgo of this.#tags.keys()) {
      this.#tags.delete(longestAgo);
      return;
    }
  }

  /** Whether the password is probably the one that has fitted. */
  recognizes(hash: string, password: string): boolean {
    return this.#tags.get(hash) === this.#tagOf(hash, password);
  }

  #tagOf(hash: string, password: string): number {
    return createHmac('sha256', this.#key).update(`${hash}\n${password}`).digest().readUInt16BE(0);
  }
}
