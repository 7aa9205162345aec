/** What a page sees of its browser, as far as a shared session is concerned. */
interface Tab {
  localStorage: {
    getItem: (key: string) => string | null;
    setItem: (key: string, value: string) => void;
    removeItem: (key: string) => void;
  };
  navigator: { locks?: BrowserLocks };
  addEventListener: (name: string, listener: Listener) => void;
  removeEventListener: (name: string, listener: Listener) => void;
}

type Listener = (event: { key: string | null }) => void;

/** The Web Locks of one origin: all tabs see them in one order, at once. */
class BrowserLocks {
  readonly #held = new Map<string, Promise<unknown>>();

  async request<T>(name: string, run: () => Promise<T>): Promise<T> {
    const before = this.#held.get(name);
    const own = (async () => {
      await before?.catch(() => undefined);
      return run();
    })();
    this.#held.set(name, own);
    try {
      return await own;
    } finally {
      if (this.#held.get(name) === own) this.#held.delete(name);
    }
  }
}

/**
 * A browser as Chromium is seen to be: what one tab writes into localStorage is read in the others a moment later, and they
 * hear of it after that.
 */
export class BrowserTabs {
  readonly #lag: number;
  readonly #locks: BrowserLocks | undefined;
  readonly #views: Map<string, string>[] = [];
  /** The tabs are frozen, or kept for "Back": they are told of no write. */
  frozen = false;
  readonly #listeners = new WeakMap<Map<string, string>, [name: string, listener: Listener][]>();

  /**
   * @param options.lag until a write is seen in the other tabs, in milliseconds
   * @param options.locks whether the origin is a secure one
   */
  constructor({ lag, locks }: { lag: number; locks: boolean }) {
    this.#lag = lag;
    this.#locks = locks ? new BrowserLocks() : undefined;
  }

  /** Does something in a new tab: in place of Node's own, its storage and its locks are the global ones. */
  inNewTab<T>(act: (tab: Tab) => T): T {
    const tab = this.#open();
    const own = (Object.keys(tab) as (keyof Tab)[]).map(
      (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
    );
    for (const name of Object.keys(tab) as (keyof Tab)[])
      Object.defineProperty(globalThis, name, { configurable: true, value: tab[name] });
    try {
      return act(tab);
    } finally {
      for (const [name, descriptor] of own) {
        if (descriptor) Object.defineProperty(globalThis, name, descriptor);
        else Reflect.deleteProperty(globalThis, name);
      }
    }
  }

  /** What a tab that has seen everything reads. */
  get keys(): string[] {
    return [...(this.#views[0]?.keys() ?? [])];
  }

  /** Each tab is shown again. */
  wake(): void {
    this.frozen = false;
    for (const view of this.#views) this.#tell(view, 'pageshow', null);
  }

  #open(): Tab {
    const view = new Map(this.#views[0]);
    this.#views.push(view);
    const listeners: [name: string, listener: Listener][] = [];
    this.#listeners.set(view, listeners);
    const change = (key: string, act: (kept: Map<string, string>) => void) => {
      act(view);
      const others = this.#views.filter((one) => one !== view);
      if (this.#lag === 0) others.forEach(act);
      setTimeout(() => {
        if (this.#lag > 0) others.forEach(act);
        if (!this.frozen) for (const other of others) this.#tell(other, 'storage', key);
      }, this.#lag);
    };
    return {
      localStorage: {
        getItem: (key) => view.get(key) ?? null,
        setItem: (key, value) => change(key, (kept) => kept.set(key, value)),
        removeItem: (key) => change(key, (kept) => kept.delete(key)),
      },
      navigator: this.#locks ? { locks: this.#locks } : {},
      addEventListener: (name, listener) => void listeners.push([name, listener]),
      removeEventListener: (name, listener) => {
        const at = listeners.findIndex(([known, other]) => known === name && other === listener);
        if (at >= 0) listeners.splice(at, 1);
      },
    };
  }

  #tell(view: Map<string, string>, name: string, key: string | null): void {
    for (const [heard, listener] of [...(this.#listeners.get(view) ?? [])])
      if (heard === name) listener({ key });
  }
}
