import { batch, signal } from '@preact/signals';
import { TidingsError } from 'tidings-client';

/** A page of a list, and where the next one begins. */
export interface ReadPage<T> {
  items: readonly T[];
  next: string | undefined;
}

/** A list that is read page by page, without a live connection. */
export class Pages<T> {
  readonly items = signal<readonly T[]>([]);
  readonly loading = signal(false);
  readonly error = signal<TidingsError | undefined>(undefined);
  /** Which page is being read, or could not be. */
  readonly page = signal<'first' | 'next'>('first');
  readonly hasMore = signal(false);
  readonly #read: (cursor: string | undefined, signal: AbortSignal) => Promise<ReadPage<T>>;
  readonly #end = new AbortController();
  #next: string | undefined;

  constructor(read: (cursor: string | undefined, signal: AbortSignal) => Promise<ReadPage<T>>) {
    this.#read = read;
    void this.load();
  }

  /** Reads the list from its beginning. What is shown stays until then. */
  async load(): Promise<void> {
    await this.#take('first', undefined);
  }

  async loadMore(): Promise<void> {
    if (this.hasMore.peek()) await this.#take('next', this.#next);
  }

  close(): void {
    this.#end.abort();
  }

  async #take(page: 'first' | 'next', cursor: string | undefined): Promise<void> {
    if (this.loading.peek()) return;
    batch(() => {
      this.loading.value = true;
      this.error.value = undefined;
      this.page.value = page;
    });
    try {
      const { items, next } = await this.#read(cursor, this.#end.signal);
      batch(() => {
        this.items.value = page === 'first' ? items : [...this.items.peek(), ...items];
        this.hasMore.value = next !== undefined;
        this.loading.value = false;
      });
      this.#next = next;
    } catch (error) {
      if (this.#end.signal.aborted) return;
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
