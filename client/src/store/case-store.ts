import type { Client } from '../client.ts';
import type { LiveEvent, ModerationCase } from '../contract.ts';
import { jittered } from '../delay.ts';
import { moderationEvent } from '../event-names.ts';
import type { CasePage } from '../moderation.ts';
import { LivePages, type PagesState } from './live-pages.ts';
import type { StoreFeed } from './live-source.ts';

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
export class CaseStore {
  /** Vue makes no reactive proxy of it, which could not reach its private members. @internal */
  readonly __v_skip = true;
  readonly #pages: LivePages<CasePage>;
  readonly #client: Client;
  readonly #wanted: 'open' | 'resolved';
  readonly #limit: number | undefined;
  #cases: readonly ModerationCase[] = [];
  #state: CasesState | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  readonly #unloaded: CasesState;

  constructor(client: Client, { state = 'open', limit, feed }: CaseStoreOptions) {
    this.#client = client;
    this.#wanted = state;
    this.#limit = limit;
    this.#pages = new LivePages({
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
      onTally: () => undefined,
      // The list is read anyway, and by a number of another database never would be.
      onReset: () => this.#waitNoMore(),
      onForget: () => undefined,
      onReplaced: () => this.#set([]),
      onChange: () => (this.#state = undefined),
    });
    this.#unloaded = this.state;
  }

  get state(): CasesState {
    this.#state ??= { cases: this.#cases, ...this.#pages.state };
    return this.#state;
  }

  /** The `state`, as a function that is bound: with `subscribe` what `useSyncExternalStore` takes. */
  readonly getSnapshot = (): CasesState => this.state;

  /** The state before anything was loaded: what a server renders, and a browser that takes that over. Bound. */
  readonly getServerSnapshot = (): CasesState => this.#unloaded;

  /**
   * Listens for a new `state`: called once for changes that happen together, and at most every 200 milliseconds for those by
   * events. Bound. @returns removes the listener
   */
  readonly subscribe = (listener: () => void): (() => void) => this.#pages.subscribe(listener);

  /** Loads the newest ones and follows on from there: see `FeedStore.load`. */
  readonly load = (): Promise<void> => this.#pages.load();

  /** Loads the next ones below. */
  readonly loadMore = (): Promise<void> => this.#pages.loadMore();

  /** Ends the subscription, and what is on its way is ignored. `load` opens it again. */
  readonly close = (): void => {
    this.#waitNoMore();
    this.#pages.close();
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
      if (this.#pages.loading) this.#readAgain(seq);
      else this.#pages.refresh(seq);
    }, jittered(TOGETHER));
  }

  #set(cases: readonly ModerationCase[]): void {
    this.#cases = cases;
    this.#pages.changed();
  }
}

/** The cases of reports to render, which stay true by themselves. Nothing is loaded before `load`. */
export function createCaseStore(client: Client, options: CaseStoreOptions = {}): CaseStore {
  return new CaseStore(client, options);
}
