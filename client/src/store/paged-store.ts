import type { PagePlace } from '../page-place.ts';
import { LivePages, type LivePagesOptions, type PagesState } from './live-pages.ts';
import type { LiveStore } from './live-store.ts';

/** What all stores with pages have in common. Each says what its state has beside that of the pages. */
export abstract class PagedStore<
  State extends PagesState,
  Page extends PagePlace,
> implements LiveStore<State> {
  /** Vue makes no reactive proxy of it, which could not reach its private members. @internal */
  readonly __v_skip = true;
  /** @internal */
  protected readonly pages: LivePages<Page>;
  #state: State | undefined;
  #unloaded!: State;

  /** @param options may use the store that is being made: nothing of them is called yet */
  protected constructor(options: Omit<LivePagesOptions<Page>, 'onChange'>) {
    this.pages = new LivePages({ ...options, onChange: () => (this.#state = undefined) });
  }

  /** The last thing that each constructor does: the state is that before anything was loaded. @internal */
  protected made(): void {
    this.#unloaded = this.state;
  }

  get state(): State {
    this.#state ??= this.stateOf(this.pages.state);
    return this.#state;
  }

  /** @internal */
  protected abstract stateOf(pages: PagesState): State;

  /** The `state`, as a function that is bound: with `subscribe` what `useSyncExternalStore` takes. */
  readonly getSnapshot = (): State => this.state;

  /** The state before anything was loaded: what a server renders, and a browser that takes that over. Bound. */
  readonly getServerSnapshot = (): State => this.#unloaded;

  /**
   * Listens for a new `state`: called once for changes that happen together, and at most every 200 milliseconds for those by
   * events. Bound. @returns removes the listener
   */
  readonly subscribe = (listener: () => void): (() => void) => this.pages.subscribe(listener);

  /**
   * Loads the first page and follows on from it; later, loads it again. A store that was closed, or whose session has
   * ended, is opened again. A failure is in `state.error` until the page has loaded; a temporary one is retried about
   * every three seconds.
   */
  readonly load = (): Promise<void> => this.pages.load();

  /** Loads the next page below. */
  readonly loadMore = (): Promise<void> => this.pages.loadMore();

  /** Tries to connect now, for somebody who would not wait until `status.retryAt`. */
  readonly reconnect = (): void => {
    this.pages.reconnect();
  };

  /** Ends the subscription, and what is on its way is ignored. `load` opens it again. */
  readonly close = (): void => {
    this.pages.close();
  };
}
