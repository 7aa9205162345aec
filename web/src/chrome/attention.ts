/** Whether nothing has the focus: what had it may be gone. */
export function isFocusLost(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

/**
 * Whether the reader is still where they did something, and not at something else by now: then its answer may give the
 * focus to something. One who has just come to a place has its title as the focus.
 */
export function isAttended(element: Element | null): boolean {
  const { activeElement } = document;
  if (element === null) return false;
  return (
    isFocusLost() || element.contains(activeElement) || activeElement?.matches('#main, .place-title') === true
  );
}

/** Whether the reader attends to something and has it before them: then its answer may lead them to another place. */
export function isWatched(element: Element | null): boolean {
  if (element === null || !isAttended(element)) return false;
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}
