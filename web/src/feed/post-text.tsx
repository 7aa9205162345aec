import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { PostView } from 'tidings-client';
import { say } from '../languages/say.ts';
import { MarkedText } from './linked-text.tsx';

/** Blank lines that follow one another: folded, they are shown as one, for they would take the place of text. */
const BLANK_LINES = /\n(?:[^\S\n]*\n){2,}/g;

interface PostTextProps {
  post: PostView;
  /** Whether it is what the reader has come to read: then it is never folded. */
  whole?: boolean;
}

/** The text of a post. It may be long: then it is folded to some lines, with a button that unfolds it. */
export function PostText({ post, whole = false }: PostTextProps) {
  const text = post.content;
  const squeezed = text.replace(BLANK_LINES, '\n\n');
  const [open, setOpen] = useState(false);
  const [overflows, setOverflows] = useState(false);
  const element = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  /** Where the button was in the window when it folded the text. CSS pixels. */
  const foldedAt = useRef<number | undefined>(undefined);
  // It stays there, with the text above it: else the reader would be far below the post.
  useLayoutEffect(() => {
    const before = foldedAt.current;
    foldedAt.current = undefined;
    if (before === undefined || !button.current) return;
    window.scrollBy({ top: button.current.getBoundingClientRect().top - before, behavior: 'instant' });
  }, [open]);
  // Ended with the rendering that unfolds it: the unfolded text overflows nothing, and its button would go.
  useLayoutEffect(() => {
    const target = element.current;
    if (!target || open) return undefined;
    const observer = new ResizeObserver(() => setOverflows(target.scrollHeight > target.clientHeight + 1));
    observer.observe(target);
    return () => observer.disconnect();
  }, [text, open]);
  if (text.trim() === '') return null;
  if (whole)
    return (
      <div dir="auto" class="text">
        <MarkedText text={text} of={post} />
      </div>
    );
  return (
    <>
      <div ref={element} dir="auto" class={open ? 'text' : overflows ? 'text folded cut' : 'text folded'}>
        <MarkedText text={open ? text : squeezed} of={post} />
      </div>
      {(overflows || open) && (
        <button
          ref={button}
          type="button"
          class="more"
          aria-expanded={open}
          onClick={({ currentTarget }) => {
            if (open) foldedAt.current = currentTarget.getBoundingClientRect().top;
            setOpen(!open);
          }}
        >
          {say(open ? 'post.fold' : 'post.unfold')}
        </button>
      )}
    </>
  );
}
