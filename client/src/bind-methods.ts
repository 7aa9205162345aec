/**
 * Binds the public methods of an object to it, so that each can be passed on alone: `onClick={store.loadMore}`,
 * `const { create } = client.posts`. Called at the end of a constructor.
 */
export function bindMethods(object: object): void {
  const methods = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(object) as object);
  for (const [name, { value }] of Object.entries(methods)) {
    if (name === 'constructor' || typeof value !== 'function') continue;
    const bound = (value as (this: object, ...args: never[]) => unknown).bind(object);
    Object.defineProperty(object, name, { value: bound, writable: true, configurable: true });
  }
}
