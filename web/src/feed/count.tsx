import { useLayoutEffect, useRef } from 'preact/hooks';
import { prefersStillness } from '../chrome/motion.ts';
import { formats } from '../languages/formats.ts';

/** How long a number takes to its new value. Milliseconds. */
const DURATION = 450;

/** A number that runs to its new value. It writes its text node itself: sixty renderings a second would be for nothing. */
export function Count({ value }: { value: number }) {
  const grouped = formats.value.number;
  const element = useRef<HTMLSpanElement>(null);
  const shown = useRef<number | undefined>(undefined);
  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const from = shown.current;
    const write = (number: number) => {
      shown.current = number;
      target.textContent = grouped.format(number);
    };
    if (from === undefined || from === value || document.hidden || prefersStillness()) {
      write(value);
      return undefined;
    }
    const began = performance.now();
    let frame = requestAnimationFrame(function step(time) {
      const part = Math.min(1, Math.max(0, (time - began) / DURATION));
      const eased = 1 - (1 - part) ** 3;
      write(Math.round(from + (value - from) * eased));
      if (part < 1) frame = requestAnimationFrame(step);
    });
    target.animate([{ translate: `0 ${value > from ? '' : '-'}0.35em` }, { translate: '0 0' }], {
      duration: DURATION,
      easing: 'cubic-bezier(.2,.8,.2,1)',
    });
    return () => cancelAnimationFrame(frame);
  }, [value, grouped]);
  return <span ref={element} class="count" />;
}
