import { useEffect, useState } from 'preact/hooks';

/** A store of the client. */
interface Store<State> {
  getSnapshot: () => State;
  subscribe: (listener: () => void) => () => void;
}

/** The state of a store, drawn again with each change. The component is keyed by what the store is of. */
export function useStore<State extends object>({ getSnapshot, subscribe }: Store<State>): State {
  const [state, setState] = useState(getSnapshot);
  useEffect(() => {
    const take = () => setState(getSnapshot());
    // It may have changed since it was drawn.
    take();
    return subscribe(take);
  }, [getSnapshot, subscribe]);
  return state;
}
