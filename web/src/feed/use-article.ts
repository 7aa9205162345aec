import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { watchScreen } from './on-screen.ts';
import { usePostStore } from './post-store.ts';

type Article = RefObject<HTMLElement | null>;

const whileOnScreen = watchScreen('120px 0px');

/** How long an edit by somebody else is marked. Milliseconds. */
const MARKED = 1600;

/** Wants the tally of a post while it is on the screen. */
export function useTracked(article: Article, postId: number): void {
  const store = usePostStore();
  useEffect(
    () => (article.current ? whileOnScreen(article.current, () => store.track(postId)) : undefined),
    [article, store, postId],
  );
}

/** Anyone who stands on a post that goes is put on the next one, not back at the start of the page. */
export function useYieldedFocus(article: Article, leaving: boolean): void {
  useLayoutEffect(() => {
    const going = article.current;
    if (!leaving || !going?.contains(document.activeElement)) return;
    // While one is open, nothing else can have the focus.
    going.querySelector<HTMLDialogElement>('dialog[open]')?.close();
    // The next one may be in another chunk of the list.
    const posts = [...(going.closest('.entries')?.querySelectorAll<HTMLElement>('.post') ?? [])];
    const at = posts.indexOf(going);
    const next = posts[at + 1] ?? posts[at - 1] ?? document.getElementById('main');
    next?.focus({ preventScroll: true });
  }, [article, leaving]);
}

/** Whether a post has been edited a moment ago. */
export function useEdited(updatedAt: string): boolean {
  const [edited, setEdited] = useState(false);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return undefined;
    }
    setEdited(true);
    const timer = setTimeout(() => setEdited(false), MARKED);
    return () => clearTimeout(timer);
  }, [updatedAt]);
  return edited;
}
