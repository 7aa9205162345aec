/** What to do when an element comes on the screen; it returns what to do when it goes. */
type OnEnter = () => () => void;

/** Tells what to do for an element. @returns ends it, and does what has to be done on leaving */
export type ScreenWatch = (element: Element, onEnter: OnEnter) => () => void;

/**
 * Watches which elements are on the screen, or so near to it. One for many: an observer each would be measured each.
 * @param rootMargin as that of an `IntersectionObserver`
 */
export function watchScreen(rootMargin: string): ScreenWatch {
  const watched = new Map<Element, { onEnter: OnEnter; onLeave: (() => void) | undefined }>();
  const observer = new IntersectionObserver(
    (changes) => {
      for (const { target, isIntersecting } of changes) {
        const watch = watched.get(target);
        if (!watch) continue;
        if (isIntersecting) watch.onLeave ??= watch.onEnter();
        else {
          watch.onLeave?.();
          watch.onLeave = undefined;
        }
      }
    },
    { rootMargin },
  );
  return (element, onEnter) => {
    watched.set(element, { onEnter, onLeave: undefined });
    observer.observe(element);
    return () => {
      observer.unobserve(element);
      watched.get(element)?.onLeave?.();
      watched.delete(element);
    };
  };
}
