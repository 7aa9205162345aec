import { useEffect, useRef, useState } from 'preact/hooks';

/** A text that may be long: folded to some lines, with a button that unfolds it. Always text, never markup. */
export function PostText({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  const [overflows, setOverflows] = useState(false);
  const element = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    const target = element.current;
    if (!target || open) return undefined;
    const observer = new ResizeObserver(() => setOverflows(target.scrollHeight > target.clientHeight + 1));
    observer.observe(target);
    return () => observer.disconnect();
  }, [text, open]);
  if (text.trim() === '') return null;
  return (
    <>
      <p ref={element} dir="auto" class={open ? 'text' : 'text folded'}>
        {text}
      </p>
      {(overflows || open) && (
        <button type="button" class="more" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Less' : 'More'}
        </button>
      )}
    </>
  );
}
