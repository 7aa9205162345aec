import { openKeyboardHelp, shortcutsOn } from '../chrome/keyboard-help.tsx';
import { go, place } from '../places/history.ts';
import type { Visit } from './visit.ts';

/** Who has typed a letter so short a time ago goes on typing, also where the field is gone. Milliseconds. */
const TYPING = 1000;

/** Single keys, as in many readers. They do nothing while one types, and can be switched off where they are explained. */
export function listenToKeys(visit: Visit): () => void {
  /** The field that a letter was typed into last, and when. */
  let typed: { field: HTMLElement; at: number } | undefined;
  const onKey = (event: KeyboardEvent) => {
    const { target } = event;
    if (!(target instanceof HTMLElement)) return;
    const withAnother = event.ctrlKey || event.metaKey || event.altKey;
    const isField = target.closest('input, textarea, select, [contenteditable]') !== null;
    if (isField)
      typed = event.key.length === 1 && !withAnother ? { field: target, at: event.timeStamp } : undefined;
    if (withAnother || event.isComposing || event.defaultPrevented || target.closest('dialog')) return;
    if (isField) {
      if (event.key === 'Escape') target.blur();
      return;
    }
    if (typed && !typed.field.isConnected && event.timeStamp - typed.at < TYPING) {
      typed.at = event.timeStamp;
      return;
    }
    if (!shortcutsOn.peek()) return;
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act(visit);
  };
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}

const actions: Record<string, (visit: Visit) => void> = {
  j: () => step(1),
  k: () => step(-1),
  v: () => press('.vote'),
  o: () => press('.more'),
  e: () => press('.edit'),
  n: () => {
    if (!['everyone', 'home'].includes(place.peek().name))
      go({ name: 'everyone', sort: 'new' }, { focus: false });
    // After the page has been drawn, if it had to change.
    requestAnimationFrame(() => focus('.composer [name="title"]'));
  },
  '.': (visit) => visit.showArrivals(),
  '/': () => focus('.search input'),
  '?': openKeyboardHelp,
};

function posts(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>('.post')];
}

function step(by: 1 | -1): void {
  const all = posts();
  const current = document.activeElement?.closest<HTMLElement>('.post');
  const at = current
    ? all.indexOf(current) + by
    : all.findIndex((post) => post.getBoundingClientRect().bottom > 120);
  const next = all[Math.min(Math.max(at, 0), all.length - 1)];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: 'nearest' });
}

function press(selector: string): void {
  document.activeElement?.closest('.post')?.querySelector<HTMLElement>(selector)?.click();
}

function focus(selector: string): void {
  const element = document.querySelector<HTMLElement>(selector);
  element?.focus();
  element?.scrollIntoView({ block: 'nearest' });
}
