/** What to do when an element comes on the screen; it returns what to do when it goes. */
type OnEnter = () => () => void;

const watched = new Map<Element, { onEnter: OnEnter; onLeave: (() => void) | undefined }>();

// One for all: an observer each would be measured each.
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
  { rootMargin: '120px 0px' },
);

/** @returns ends it, and does what has to be done on leaving */
export function whileOnScreen(element: Element, onEnter: OnEnter): () => void {
  watched.set(element, { onEnter, onLeave: undefined });
  observer.observe(element);
  return () => {
    observer.unobserve(element);
    watched.get(element)?.onLeave?.();
    watched.delete(element);
  };
}
