import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { say } from '../languages/say.ts';

interface KeptWordsProps {
  of: number;
  onDiscard?: () => void;
}

/** What the reader has begun to write about a post that has gone: how it was to be changed, and an answer to it. */
export function KeptWords({ of: postId, onDiscard }: KeptWordsProps) {
  return (
    <>
      <Kept of={postId} kind="edit" onDiscard={onDiscard} />
      <Kept of={postId} kind="reply" onDiscard={onDiscard} />
    </>
  );
}

interface KeptProps {
  of: number;
  kind: 'edit' | 'reply';
  onDiscard: (() => void) | undefined;
}

function Kept({ of: postId, kind, onDiscard }: KeptProps) {
  const { unsent } = useVisit();
  const what = `${kind}:${postId}` as const;
  // It may be under way, and the post may have gone because of it.
  const words = unsent.kept(what).value;
  const element = useRef<HTMLDivElement>(null);
  const resumed = useRef(false);
  useEffect(() => unsent.onAgain(what, () => (resumed.current = true)), [unsent, what]);
  useLayoutEffect(() => {
    if (words && resumed.current) element.current?.focus();
    resumed.current = false;
  }, [words]);
  if (!words) return null;
  const text = [words.title, words.content].filter((part) => part !== '').join('\n\n');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      notify(say('thread.copied'));
    } catch {
      notify(say('factor.notCopied'), 'failed');
    }
  };
  return (
    <div ref={element} class="kept-words" tabIndex={-1}>
      <p class="hint" role="alert">
        {say(kind === 'edit' ? 'thread.unchangeable' : 'thread.unanswerable')}
      </p>
      <p class="text" dir="auto">
        {text}
      </p>
      <div class="buttons">
        <button
          type="button"
          class="plain first"
          onClick={() => {
            unsent.discard(what, `${kind}.discarded`, { name: 'post', id: postId });
            onDiscard?.();
          }}
        >
          {say('discard')}
        </button>
        {/* There is none where the page came unencrypted. */}
        {'clipboard' in navigator && (
          <button type="button" class="secondary" onClick={() => void copy()}>
            {say('copy')}
          </button>
        )}
      </div>
    </div>
  );
}
