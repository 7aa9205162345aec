/**
 * Takes what the fragment of the address says by this name out of it: it must not stay in the history of the browser.
 * @returns undefined: nothing
 */
export function takeFromFragment(name: string): string | undefined {
  const said = new URLSearchParams(location.hash.slice(1)).get(name);
  if (said === null) return undefined;
  history.replaceState(history.state, '', location.pathname + location.search);
  return said;
}
