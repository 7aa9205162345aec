import { useEffect, useState } from 'preact/hooks';

/** How much of a long list is to be drawn: so many more in each frame, so that the page answers in between. */
export function useSlices(length: number, size: number): number {
  const [drawn, setDrawn] = useState(size);
  useEffect(() => {
    if (drawn >= length) return undefined;
    const frame = requestAnimationFrame(() => setDrawn(drawn + size));
    return () => cancelAnimationFrame(frame);
  }, [drawn, length, size]);
  return drawn;
}
