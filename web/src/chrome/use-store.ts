import { useEffect, useMemo, useState } from 'preact/hooks';

/** A store of the client. */
interface Store<State> {
  getSnapshot: () => State;
  subscribe: (listener: () => void) => () => void;
  load: () => Promise<void>;
  close: () => void;
}

/**
 * A store that is loaded while the component is there, and its state, drawn again with each change but that of the
 * position alone, which every event of the feed moves. The component is keyed by what the store is of.
 * @param inputs another store is made when one of them is another
 */
export function useStore<State extends object, S extends Store<State>>(
  make: () => S & Store<State>,
  inputs: readonly unknown[],
): { store: S; state: State } {
  const store = useMemo(make, inputs);
  const { getSnapshot, subscribe } = store;
  const [state, setState] = useState(getSnapshot);
  useEffect(() => {
    void store.load();
    return () => store.close();
  }, [store]);
  useEffect(() => {
    const take = () => setState((before) => (isSame(before, getSnapshot()) ? before : getSnapshot()));
    // It may have changed since it was drawn.
    take();
    return subscribe(take);
  }, [getSnapshot, subscribe]);
  return { store, state };
}

function isSame<State extends object>(one: State, other: State): boolean {
  return Object.keys(other).every(
    (name) => name === 'seq' || one[name as keyof State] === other[name as keyof State],
  );
}
