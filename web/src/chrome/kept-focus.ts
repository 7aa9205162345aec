import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

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
    if (document.activeElement !== document.body) return;
    const { children } = target;
    const next = children[Math.min(before.at, children.length - 1)];
    // Never one of its buttons: a key that was meant for the one before would do the same to it.
    const link = next?.querySelector<HTMLElement>('a[href]');
    const place = link ?? (next instanceof HTMLElement ? next : target);
    if (!link && !place.hasAttribute('tabindex')) place.tabIndex = -1;
    place.focus({ preventScroll: true });
  });
  return list;
}
