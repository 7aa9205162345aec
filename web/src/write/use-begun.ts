import { useEffect, useState } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import type { UnsentFor } from './unsent.ts';

/**
 * Whether the form for these words is open: from the beginning where they were begun before, at another place or before a
 * reload, and again when their writer wants back what they have discarded.
 */
export function useBegun(what: UnsentFor): [begun: boolean, setBegun: (begun: boolean) => void] {
  const { unsent } = useVisit();
  const [begun, setBegun] = useState(() => unsent.of(what) !== undefined);
  useEffect(() => unsent.onAgain(what, () => setBegun(true)), [unsent, what]);
  return [begun, setBegun];
}
