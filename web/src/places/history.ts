import { signal } from '@preact/signals';
import { addressOf, isSamePlace, type Place, placeAt } from './place.ts';
import { anchorNow, type Anchor, forgetPlace, restoreAnchor } from './scroll.ts';

/** What this page keeps with an entry of the browser's history. */
interface Kept {
  anchor?: Anchor;
}

/** How long the reader must not have scrolled before the position is kept. Milliseconds. */
const SETTLED = 250;

const current = signal(placeAt(location));

/** Where this tab is. */
export const place = current as { readonly value: Place; peek(): Place };

interface GoOptions {
  /** In place of the current entry of the history: "Back" does not lead to that one. */
  replace?: boolean;
  /** Whether the title of the place gets the focus; `true` unless it replaces. */
  focus?: boolean;
}

/** What the place is called, where its address does not tell: the title of a post. */
export const placeName = signal<string | undefined>(undefined);

/** Goes to a place, to its top. */
export function go(to: Place, { replace = false, focus }: GoOptions = {}): void {
  const from = current.peek();
  if (addressOf(from) === addressOf(to)) {
    window.scrollTo({ top: 0 });
    return;
  }
  if (replace) history.replaceState(null, '', addressOf(to));
  else {
    keepAnchor();
    history.pushState(null, '', addressOf(to));
  }
  forgetPlace();
  current.value = to;
  window.scrollTo({ top: 0 });
  if ((focus ?? !replace) && !isSamePlace(from, to)) focusPlace();
}

/** Follows "Back" and "Forward", and keeps where the reader has scrolled to, also for a reload. */
export function followHistory(): void {
  history.scrollRestoration = 'manual';
  restoreAnchor((history.state as Kept | null)?.anchor);
  window.addEventListener('popstate', ({ state }: PopStateEvent) => {
    const from = current.peek();
    const to = placeAt(location);
    // A jump within the page, to `#main`, is none to another place.
    if (addressOf(from) === addressOf(to)) return;
    current.value = to;
    restoreAnchor((state as Kept | null)?.anchor);
    focusPlace({ onlyIfLost: true });
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  window.addEventListener('scroll', () => {
    clearTimeout(timer);
    timer = setTimeout(keepAnchor, SETTLED);
  });
  window.addEventListener('pagehide', keepAnchor);
}

function keepAnchor(): void {
  history.replaceState({ anchor: anchorNow() } satisfies Kept, '');
}

/**
 * The title of the place gets the focus, so that a screen reader says where one is.
 * @param options.onlyIfLost not if something has it that is still there: the search, or what is beside the place
 */
export function focusPlace({ onlyIfLost = false } = {}): void {
  requestAnimationFrame(() => {
    if (onlyIfLost && document.activeElement !== document.body) return;
    const target =
      document.querySelector<HTMLElement>('.place-title[tabindex]') ?? document.getElementById('main');
    target?.focus({ preventScroll: true });
  });
}
