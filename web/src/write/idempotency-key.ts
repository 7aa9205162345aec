/** One key for one wish: pressed again after a lost answer, the same post is not written twice; another text is another wish. */
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

  /** The wish has been granted: the same text again is another one. */
  renew(): void {
    this.#wish = '';
  }
}
