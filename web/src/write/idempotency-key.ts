/**
 * One idempotency key per post: a retry after a lost response does not create the post twice; another text gets another
 * key.
 */
export class IdempotencyKey {
  #wish = '';
  #key = '';

  of(wish: object): string {
    const said = JSON.stringify(wish);
    if (said !== this.#wish) {
      this.#wish = said;
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      this.#key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    }
    return this.#key;
  }

  /** The post has been created: the same text again is a new post. */
  renew(): void {
    this.#wish = '';
  }
}
