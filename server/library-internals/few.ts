/**
 * What Socket.IO asks of a map, for one that mostly has no entry or one: a `Map` has room for four from the beginning and
 * takes six times as much. It may have more all the same.
 */
export class Few<K extends string | number> {
  #key: K | undefined;
  #value: unknown;
  #more: Map<K, unknown> | undefined;

  constructor(entries: Iterable<readonly [K, unknown]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return (this.#key === undefined ? 0 : 1) + (this.#more?.size ?? 0);
  }

  has(key: K): boolean {
    return this.#key === key || this.#more?.has(key) === true;
  }

  get(key: K): unknown {
    return this.#key === key ? this.#value : this.#more?.get(key);
  }

  set(key: K, value: unknown): this {
    if ((this.#key ?? key) === key && !this.#more?.has(key)) {
      this.#key = key;
      this.#value = value;
    } else (this.#more ??= new Map()).set(key, value);
    return this;
  }

  delete(key: K): boolean {
    if (this.#key !== key) return this.#more?.delete(key) === true;
    this.#key = this.#value = undefined;
    return true;
  }

  clear(): void {
    this.#key = this.#value = this.#more = undefined;
  }

  /** As they are now: Socket.IO deletes them as it goes. */
  values(): Iterable<unknown> {
    return [...(this.#key === undefined ? [] : [this.#value]), ...(this.#more?.values() ?? [])];
  }
}
