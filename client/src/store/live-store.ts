/** What a framework needs of something that changes in order to render it: what `useSyncExternalStore` takes. */
export interface Snapshots<State> {
  /** The state as it is: another object after each change. */
  readonly getSnapshot: () => State;
  /** The state before anything was loaded: what a server renders, and a browser that takes that over. */
  readonly getServerSnapshot: () => State;
  /** Listens for another state. @returns removes the listener */
  readonly subscribe: (listener: () => void) => () => void;
}

/** All stores of this package are such. */
export interface LiveStore<State extends object> extends Snapshots<State> {
  /** Loads it and keeps it up to date from then on. */
  readonly load: () => Promise<void>;
  readonly close: () => void;
}
