import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { prefersStillness } from '../chrome/motion.ts';
import type { Entry } from './timeline.ts';

/** How long it takes, and how it begins and ends, as posts that come in do in the style sheet. Milliseconds. */
const DURATION = 450;
const EASING = 'cubic-bezier(.2,.8,.2,1)';

/**
 * A list moves down for posts that come in at its top, rather than jumps. It is laid out once, with them, and moved by a
 * transform alone, which the browser does beside the scripts, however long the list is.
 */
export function useSlide(list: RefObject<HTMLElement | null>, entries: readonly Entry[]): void {
  const before = useRef<number | undefined>(undefined);
  const slide = useRef<Animation | undefined>(undefined);
  const [first] = entries;
  useLayoutEffect(() => {
    const known = before.current;
    before.current = first?.id;
    if (!first?.live || known === undefined || known === first.id) return;
    if (document.hidden || prefersStillness()) return;
    // Before it is painted, and together with the layout that has to be done for that.
    requestAnimationFrame(() => {
      const element = list.current;
      const post = element?.querySelector(`[data-post="${known}"]`);
      if (!element || !post) return;
      const moved = post.getBoundingClientRect().top - element.getBoundingClientRect().top;
      // More than a screen of them is nothing to watch.
      if (moved <= 0 || moved > window.innerHeight) return;
      const under = slide.current?.playState === 'running' ? offsetOf(element) : 0;
      slide.current?.cancel();
      slide.current = element.animate(
        { transform: [`translateY(${under - moved}px)`, 'none'] },
        { duration: DURATION, easing: EASING },
      );
    });
  }, [list, first]);
}

/** How far down an element is drawn from where it is laid out. CSS pixels. */
function offsetOf(element: Element): number {
  return new DOMMatrix(getComputedStyle(element).transform).m42;
}
