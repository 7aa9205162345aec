import { createHmac, randomBytes } from 'node:crypto';

/** Passwords that are remembered; that of the longest ago is forgotten first. */
const MOST = 20_000;

/**
 * Which passwords have been right of late, by the hash that they fit: so that the login of somebody who knows their password is
 * told from a guess before it is compared, and waits for no guess. It decides who goes first and nothing else.
 *
 * What is remembered of a password are sixteen bits, made with a key that lives and dies with the process: one guess in 65,536
 * looks right, and who steals the memory still has to try what is left at the cost of the hash.
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
