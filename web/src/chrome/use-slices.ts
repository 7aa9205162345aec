import { useEffect, useState } from 'preact/hooks';

/**
 * How much of a long list is to be drawn: so many more in each frame, so that the page answers in between. Once all of it
 * has been drawn nothing is taken off again, whatever comes into its middle.
 */
export function useSlices(length: number, size: number): number {
  const [drawn, setDrawn] = useState(size);
  useEffect(() => {
    if (length === 0 || drawn === Infinity) return undefined;
    if (drawn >= length) {
      setDrawn(Infinity);
      return undefined;
    }
    const frame = requestAnimationFrame(() => setDrawn(drawn + size));
    return () => cancelAnimationFrame(frame);
  }, [drawn, length, size]);
  return drawn;
}
