import type { Client } from '../client.ts';
import type { LiveEvent, ModerationCase } from '../contract.ts';
import { jittered } from '../delay.ts';
import { moderationEvent } from '../event-names.ts';
import type { CasePage } from '../moderation.ts';
import type { PagesState } from './live-pages.ts';
import type { StoreFeed } from './live-source.ts';
import { PagedStore } from './paged-store.ts';

export interface CaseStoreOptions {
  /** Cases that wait, unless you say otherwise, or those that are resolved. */
  state?: 'open' | 'resolved';
  /** Cases in a page. */
  limit?: number;
  /** As that of `createFeedStore`. Without one, a feed of its own, which has nothing but what concerns the user. */
  feed?: StoreFeed;
}

/** The state to render. A new object after each change; the list is the same object until it changes. */
export interface CasesState extends PagesState {
  /** The newest first. */
  cases: readonly ModerationCase[];
}

/** Reports that come within this time are one reason to read the list again. Milliseconds. */
const TOGETHER = 500;
/** Cases in a request at most. */
const MOST = 100;

/** The cases of reports, for moderators: pages of them, and what is reported and resolved after them. */
export class CaseStore extends PagedStore<CasesState, CasePage> {
  readonly #client: Client;
  readonly #wanted: 'open' | 'resolved';
  readonly #limit: number | undefined;
  #cases: readonly ModerationCase[] = [];
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client, { state = 'open', limit, feed }: CaseStoreOptions) {
    super({
      client,
      feed,
      topic: () => null,
      read: (cursor, signal) =>
        cursor === undefined ? this.#readShown(signal) : this.#read(limit, cursor, signal),
      onPage: ({ cases }, which) => {
        const before = which === 'first' ? [] : this.#cases;
        const known = new Set(before.map(({ id }) => id));
        this.#set([...before, ...cases.filter(({ id }) => !known.has(id))]);
        return () => undefined;
      },
      onEvent: (event) => this.#fold(event),
      // The list is read anyway, and by a number of another database never would be.
      onReset: () => this.#waitNoMore(),
      onReplaced: () => this.#set([]),
    });
    this.#client = client;
    this.#wanted = state;
    this.#limit = limit;
    this.made();
  }

  protected stateOf(pages: PagesState): CasesState {
    return { cases: this.#cases, ...pages };
  }

  /** Ends the subscription, and what is on its way is ignored. `load` opens it again. */
  override readonly close = (): void => {
    this.#waitNoMore();
    this.pages.close();
  };

  #read(limit: number | undefined, cursor: string | undefined, signal: AbortSignal): Promise<CasePage> {
    const options = { state: this.#wanted, cursor, signal };
    return this.#client.moderation.cases(limit === undefined ? options : { ...options, limit });
  }

  /** The first page, and on until all that is shown is read: none of it goes because something has come above. */
  async #readShown(signal: AbortSignal): Promise<CasePage> {
    const first = await this.#read(this.#limit, undefined, signal);
    const found = new Map(first.cases.map((one) => [one.id, one]));
    const most = this.#cases.length + MOST;
    let { next } = first;
    while (next !== undefined && found.size < most && this.#cases.some(({ id }) => !found.has(id))) {
      const page = await this.#read(MOST, next, signal);
      for (const one of page.cases) found.set(one.id, one);
      ({ next } = page);
    }
    return { ...first, cases: [...found.values()], next };
  }

  #fold(event: LiveEvent): void {
    const isOver = event.name === moderationEvent.resolved;
    if (isOver && this.#wanted === 'open') this.#set(this.#cases.filter(({ id }) => id !== event.data.id));
    else if (isOver || (this.#wanted === 'open' && event.name === moderationEvent.reported))
      this.#readAgain(event.seq);
  }

  #waitNoMore(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
  }

  /** What is reported is in no event: who reports, and why, is in the list alone. */
  #readAgain(seq: number): void {
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      // A page that is on its way is not given up for it.
      if (this.pages.loading) this.#readAgain(seq);
      else this.pages.refresh(seq);
    }, jittered(TOGETHER));
  }

  #set(cases: readonly ModerationCase[]): void {
    this.#cases = cases;
    this.pages.changed();
  }
}

/** The cases of reports to render, which stay true by themselves. Nothing is loaded before `load`. */
export function createCaseStore(client: Client, options: CaseStoreOptions = {}): CaseStore {
  return new CaseStore(client, options);
}
