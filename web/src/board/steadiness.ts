import type { Timeline } from '../feed/timeline.ts';

/** Scrolled no further than this, the reader is at the top, and new posts may come in above. CSS pixels. */
const TOP = 160;
/** New posts come in faster than one in so many milliseconds: then they wait, once some have come in at once. */
const INTERVAL = 2000;
const AT_ONCE = 3;

const hovers = matchMedia('(hover: hover)');

/** How fast new posts come: a token bucket. */
export class Pace {
  #left = AT_ONCE;
  #at = performance.now();

  /** A new post has come. */
  came(): void {
    this.#left = Math.max(0, this.#refilled() - 1);
    this.#at = performance.now();
  }

  get tooFast(): boolean {
    return this.#refilled() < 1;
  }

  #refilled(): number {
    return Math.min(AT_ONCE, this.#left + (performance.now() - this.#at) / INTERVAL);
  }
}

/** Whether new posts above would move something under the reader: the pointer, the focus, what they have selected. */
export function wouldBeMoved(): boolean {
  if (window.scrollY > TOP) return true;
  // Nobody looks.
  if (document.hidden) return false;
  const pointed = hovers.matches && document.querySelector(':is(.entries, .pill-place):hover');
  if (
    pointed ||
    document.querySelector(':is(.entries, .pill-place) :focus-visible, .entries form:focus-within')
  )
    return true;
  const selection = getSelection();
  const list = document.querySelector('.entries');
  return Boolean(list && selection && !selection.isCollapsed && selection.containsNode(list, true));
}

/** Whether the reader is about to use an element, or something in it: it must not move then. */
export function isUsed(element: Element): boolean {
  return element.matches(':is(:active, :focus-within)') || (hovers.matches && element.matches(':hover'));
}

/**
 * Once the pointer or the focus has left the list, the few posts that have waited for that come in by themselves. More
 * than a few are the reader's to ask for.
 * @param bring brings them, where the newest posts are on top
 * @returns ends it
 */
export function bringWhenStill(timeline: Timeline, bring: () => void): () => void {
  let asked = false;
  const look = () => {
    const waiting = timeline.arrivals.peek().length;
    if (asked || waiting === 0 || waiting > AT_ONCE) return;
    asked = true;
    // The focus and the pointer are where they go by then.
    requestAnimationFrame(() => {
      asked = false;
      if (!wouldBeMoved()) bring();
    });
  };
  const moments = ['pointerover', 'pointerout', 'focusout', 'selectionchange'] as const;
  for (const moment of moments) document.addEventListener(moment, look);
  return () => {
    for (const moment of moments) document.removeEventListener(moment, look);
  };
}
