import { batch, signal } from '@preact/signals';
import { TidingsError } from 'tidings-client';

/** A page of a list, and where the next one begins. */
export interface ReadPage<T> {
  items: readonly T[];
  next: string | undefined;
}

/** A list that is read page by page, without a live connection. Of reads from its beginning the newest counts. */
export class Pages<T> {
  readonly items = signal<readonly T[]>([]);
  readonly loading = signal(false);
  readonly error = signal<TidingsError | undefined>(undefined);
  /** Which page is being read, or could not be. */
  readonly page = signal<'first' | 'next'>('first');
  readonly hasMore = signal(false);
  readonly #read: (cursor: string | undefined, signal: AbortSignal) => Promise<ReadPage<T>>;
  #request = new AbortController();
  #next: string | undefined;

  constructor(read: (cursor: string | undefined, signal: AbortSignal) => Promise<ReadPage<T>>) {
    this.#read = read;
    void this.load();
  }

  /** Reads the list from its beginning. What is shown stays until then. */
  async load(): Promise<void> {
    await this.#take('first', undefined);
  }

  /** Reads what is new at the beginning. What is shown below stays, unless more is new than a page has. @param idOf by what an item is known */
  async refresh(idOf: (item: T) => number): Promise<void> {
    await this.#take('first', undefined, (items) => {
      const known = new Set(items.map(idOf));
      const before = this.items.peek();
      const below = before.filter((item) => !known.has(idOf(item)));
      return below.length < before.length ? [...items, ...below] : undefined;
    });
  }

  /** While anything is being read there is nothing to do. */
  async loadMore(): Promise<void> {
    if (this.hasMore.peek() && !this.loading.peek()) await this.#take('next', this.#next);
  }

  /** Takes what there is no more out of what is shown. */
  remove(isGone: (item: T) => boolean): void {
    this.items.value = this.items.peek().filter((item) => !isGone(item));
  }

  close(): void {
    this.#request.abort();
  }

  /** @param merge what is shown then, if the list goes on below as it did */
  async #take(
    page: 'first' | 'next',
    cursor: string | undefined,
    merge: (items: readonly T[]) => readonly T[] | undefined = () => undefined,
  ): Promise<void> {
    this.#request.abort();
    const { signal } = (this.#request = new AbortController());
    batch(() => {
      this.loading.value = true;
      this.error.value = undefined;
      this.page.value = page;
    });
    try {
      const { items, next } = await this.#read(cursor, signal);
      if (signal.aborted) return;
      const merged = merge(items);
      if (!merged) this.#next = next;
      batch(() => {
        this.items.value = merged ?? (page === 'first' ? items : [...this.items.peek(), ...items]);
        this.hasMore.value = this.#next !== undefined;
        this.loading.value = false;
      });
    } catch (error) {
      if (signal.aborted) return;
      batch(() => {
        this.error.value =
          error instanceof TidingsError
            ? error
            : new TidingsError('unexpected', String(error), { cause: error });
        this.loading.value = false;
      });
    }
  }
}
