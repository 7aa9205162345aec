/** What a framework needs of a store in order to render it: all stores of this package are such. All of it is bound. */
export interface LiveStore<State extends object> {
  /** The state as it is: another object after each change. */
  getSnapshot: () => State;
  /** The state before anything was loaded: what a server renders, and a browser that takes that over. */
  getServerSnapshot: () => State;
  /** Listens for another state. @returns removes the listener */
  subscribe: (listener: () => void) => () => void;
  /** Loads it and keeps it up to date from then on. */
  load: () => Promise<void>;
  close: () => void;
}
