/** Numbers of users, as few bytes each as they need: the followers of an author among the users of this node. */
export class UserSlots {
  #slots: Uint16Array | Uint32Array = new Uint16Array(2);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Each once: a slot that is in already is not added. */
  add(slot: number): void {
    if (this.has(slot)) return;
    if (slot > 0xffff && this.#slots instanceof Uint16Array) this.#slots = Uint32Array.from(this.#slots);
    if (this.#length === this.#slots.length) {
      const grown = new (this.#slots.constructor as typeof Uint32Array)(
        this.#length + Math.max(2, this.#length >> 3),
      );
      grown.set(this.#slots);
      this.#slots = grown;
    }
    this.#slots[this.#length] = slot;
    this.#length += 1;
  }

  delete(slot: number): void {
    const at = this.#slots.subarray(0, this.#length).indexOf(slot);
    if (at < 0) return;
    this.#length -= 1;
    this.#slots[at] = this.#slots[this.#length] ?? 0;
    if (this.#length < this.#slots.length >> 1)
      this.#slots = this.#slots.slice(0, this.#length + (this.#length >> 3));
  }

  has(slot: number): boolean {
    return this.#slots.subarray(0, this.#length).includes(slot);
  }

  each(visit: (slot: number) => void): void {
    for (let at = 0; at < this.#length; at += 1) visit(this.#slots[at] ?? 0);
  }
}
