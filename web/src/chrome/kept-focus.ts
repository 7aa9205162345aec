import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { isFocusLost } from './attention.ts';

/**
 * Keeps the focus in a list whose entry has it and goes, because of what was just done about it: the next one gets it, or
 * the list. Otherwise somebody without a pointer would begin again at the start of the page.
 * @returns for the list, which must be drawn by the component whose rendering takes its entries away
 */
export function useKeptFocus<E extends HTMLElement>(): RefObject<E | null> {
  const list = useRef<E>(null);
  /** The entry that has, or had, the focus, and its place. */
  const focused = useRef<{ entry: Element; at: number } | undefined>(undefined);
  useEffect(() => {
    const target = list.current;
    const follow = (event: FocusEvent) => {
      const entries = [...(target?.children ?? [])];
      const at = entries.findIndex((one) => event.target instanceof Node && one.contains(event.target));
      const entry = entries[at];
      focused.current = entry && { entry, at };
    };
    target?.addEventListener('focusin', follow);
    return () => target?.removeEventListener('focusin', follow);
  }, []);
  useLayoutEffect(() => {
    const target = list.current;
    const before = focused.current;
    if (!target || !before || before.entry.isConnected) return;
    focused.current = undefined;
    // The focus is elsewhere by now.
    if (!isFocusLost()) return;
    const { children } = target;
    focusEntry(children[Math.min(before.at, children.length - 1)] ?? target);
  });
  return list;
}

/** An entry of a list gets the focus, or the first link in it: never one of its buttons, which a key meant for another would press. */
export function focusEntry(entry: Element): void {
  const place = entry.querySelector<HTMLElement>('a[href]') ?? entry;
  if (!(place instanceof HTMLElement)) return;
  if (!place.matches('a[href]') && !place.hasAttribute('tabindex')) place.tabIndex = -1;
  place.focus({ preventScroll: true });
}
