import type { Unsent, UnsentFor } from './unsent.ts';

/**
 * The idempotency key of a post: a retry after a lost response does not create the post twice; another text gets
 * another key. It is kept with the text, so that it holds across a reload, and goes with it when the post is created.
 */
export function idempotencyKey(unsent: Unsent, what: UnsentFor, wish: object): string {
  const said = JSON.stringify(wish);
  const known = unsent.of(what)?.sent;
  if (known?.wish === said) return known.key;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  unsent.sent(what, { wish: said, key });
  return key;
}
