/** What a page sees of its browser, as far as a shared session is concerned. */
interface Tab {
  localStorage: {
    getItem: (key: string) => string | null;
    setItem: (key: string, value: string) => void;
    removeItem: (key: string) => void;
  };
  navigator: { locks?: BrowserLocks };
}

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

/** A browser as Chromium is seen to be: what one tab writes into localStorage is read in the others a moment later. */
export class BrowserTabs {
  readonly #lag: number;
  readonly #locks: BrowserLocks | undefined;
  readonly #views: Map<string, string>[] = [];

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

  #open(): Tab {
    const view = new Map(this.#views[0]);
    this.#views.push(view);
    const change = (act: (kept: Map<string, string>) => void) => {
      act(view);
      const others = this.#views.filter((one) => one !== view);
      if (this.#lag === 0) others.forEach(act);
      else setTimeout(() => others.forEach(act), this.#lag);
    };
    return {
      localStorage: {
        getItem: (key) => view.get(key) ?? null,
        setItem: (key, value) => change((kept) => kept.set(key, value)),
        removeItem: (key) => change((kept) => kept.delete(key)),
      },
      navigator: this.#locks ? { locks: this.#locks } : {},
    };
  }
}
