import { computed, signal } from '@preact/signals';
import { place } from '../places/history.ts';
import type { Place } from '../places/place.ts';
import { type Anchor, anchorNow, restoreAnchor } from '../places/scroll.ts';

/** What somebody wants who is not logged in. */
export type Intent = 'log-in' | 'sign-up';

/** Whether posts can be read without an account: the server writes it into the page. */
const everyoneReads =
  document.querySelector<HTMLMetaElement>('meta[name="tidings:public-read"]')?.content === 'on';

/** What a visitor wanted, and the place where they did. */
const wanted = signal<{ intent: Intent; at: Place } | undefined>(undefined);

/** What a visitor who has been reading wants now; undefined while they read: also once they have gone to another place. */
export const wish = computed(() => (wanted.value?.at === place.value ? wanted.value.intent : undefined));

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
  wanted.value = { intent, at: place.peek() };
  window.scrollTo({ top: 0, behavior: 'instant' });
}

/** They are logged in, or go on reading. */
export function leaveDoor(): void {
  if (wish.peek() === undefined) return;
  wanted.value = undefined;
  restoreAnchor(left);
}
