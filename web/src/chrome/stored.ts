/** A choice that this browser remembers. Where storage is refused (a private window, say) it lasts as long as the page. */
export function readChoice(name: string): string | null {
  try {
    return localStorage.getItem(`tidings:${name}`);
  } catch {
    return null;
  }
}

export function keepChoice(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`tidings:${name}`);
    else localStorage.setItem(`tidings:${name}`, value);
  } catch {
    // It is a convenience: without it the page works as well.
  }
}
