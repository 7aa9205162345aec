import { signal } from '@preact/signals';
import type { Place } from '../places/place.ts';
import { type Anchor, anchorNow, restoreAnchor } from '../places/scroll.ts';

/** What somebody wants who is not logged in. */
export type Intent = 'log-in' | 'sign-up';

/** Whether posts can be read without an account: the server writes it into the page. */
const everyoneReads =
  document.querySelector<HTMLMetaElement>('meta[name="tidings:public-read"]')?.content === 'on';

/** What a visitor who has been reading wants now; undefined while they read. */
export const wish = signal<Intent | undefined>(undefined);

/** The places that one can read without an account. */
const open = new Set<Place['name']>(['everyone', 'search', 'tag', 'post', 'author']);

export function isOpen({ name }: Place): boolean {
  return everyoneReads && open.has(name);
}

/** Where a visitor was when they went to the door. */
let left: Anchor | undefined;

/** A visitor wants to do what needs an account. They come back to where they are. */
export function goToDoor(intent: Intent): void {
  left = anchorNow();
  wish.value = intent;
  window.scrollTo({ top: 0, behavior: 'instant' });
}

/** They are logged in, or go on reading. */
export function leaveDoor(): void {
  if (wish.peek() === undefined) return;
  wish.value = undefined;
  restoreAnchor(left);
}
