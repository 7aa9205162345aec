/** What all tabs of this browser share; undefined where that is refused, as for a site whose data is blocked. */
export function browserStorage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

/** What this tab alone has, also after a reload; undefined where that is refused. */
export function tabStorage(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
}

export function read(storage: Storage | undefined, key: string): string | null {
  return storage?.getItem(key) ?? null;
}

/** Where storage is refused or full nothing is written. @param value null: deletes it */
export function write(storage: Storage | undefined, key: string, value: string | null): void {
  try {
    if (value === null) storage?.removeItem(key);
    else storage?.setItem(key, value);
  } catch {
    // Who writes has it in memory too.
  }
}

/** A choice that this browser remembers. Where storage is refused (a private window, say) it lasts as long as the page. */
export function readChoice(name: string): string | null {
  return read(browserStorage(), `tidings:${name}`);
}

export function keepChoice(name: string, value: string | null): void {
  write(browserStorage(), `tidings:${name}`, value);
}
