import type { Client } from '../client.ts';
import type { PostTold } from '../post-events.ts';
import { TidingsError } from '../tidings-error.ts';
import { authorsOf, type KnownAuthors, postsBy } from './known-authors.ts';
import type { LivePages } from './live-pages.ts';
import type { StoreFeed } from './live-source.ts';

export interface StoreAuthorsOptions {
  pages: Pick<LivePages<never>, 'readAgainAfter' | 'since'>;
  /** Grows when the database or the user is another one: then an answer is no news. */
  life: () => number;
  /** The position of what is shown. */
  asOf: () => number;
  fold: (event: PostTold) => void;
}

/** The authors of one store on a shared feed: what comes of one who is not known is folded in again after the look-up. */
export class StoreAuthors {
  readonly #known: KnownAuthors;
  readonly #options: StoreAuthorsOptions;
  readonly #lookedUp = new Set<number>();

  constructor(known: KnownAuthors, options: StoreAuthorsOptions) {
    this.#known = known;
    this.#options = options;
  }

  /** @returns undefined for a feed of the store alone, which brings nothing but its list */
  static of(
    client: Client,
    feed: StoreFeed | undefined,
    options: StoreAuthorsOptions,
  ): StoreAuthors | undefined {
    const known = authorsOf(client, feed);
    return known && new StoreAuthors(known, options);
  }

  /** As `KnownAuthors.follows`. */
  follows(ownerId: number): boolean | undefined {
    return this.#known.follows(ownerId);
  }

  /** As `KnownAuthors.mutes`. */
  mutes(ownerId: number): boolean | undefined {
    return this.#known.mutes(ownerId);
  }

  /** Looks an author up, unless that is in progress. If it fails, the list is read again. */
  lookUp(ownerId: number): void {
    if (!this.#lookedUp.has(ownerId)) void this.#lookUpNow(ownerId);
  }

  async #lookUpNow(ownerId: number): Promise<void> {
    const { pages, life, asOf, fold } = this.#options;
    this.#lookedUp.add(ownerId);
    const began = life();
    try {
      await this.#known.lookUp(ownerId);
      if (began !== life()) return;
    } catch (error) {
      if (began !== life() || !(error instanceof TidingsError)) return;
      pages.readAgainAfter(error);
      return;
    } finally {
      this.#lookedUp.delete(ownerId);
    }
    for (const event of postsBy(ownerId, pages.since(asOf()))) fold(event);
  }
}
