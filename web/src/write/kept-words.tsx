import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { say } from '../languages/say.ts';
import type { UnsentFor } from './unsent.ts';

interface KeptWordsProps {
  of: number;
  onDiscard?: () => void;
}

/** What the reader has begun to write about a post that has gone: how it was to be changed, and an answer to it. */
export function KeptWords({ of: postId, onDiscard }: KeptWordsProps) {
  return (
    <>
      <Kept what={`edit:${postId}`} why={say('thread.unchangeable')} onDiscard={onDiscard} />
      <Kept what={`reply:${postId}`} why={say('thread.unanswerable')} onDiscard={onDiscard} />
    </>
  );
}

interface KeptProps {
  what: UnsentFor;
  why: string;
  onDiscard: (() => void) | undefined;
}

function Kept({ what, why, onDiscard }: KeptProps) {
  const { unsent } = useVisit();
  // It may be under way, and the post may have gone because of it.
  void unsent.changes.value;
  const words = unsent.of(what);
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
    <div class="kept-words">
      <p class="hint" role="alert">
        {why}
      </p>
      <p class="text" dir="auto">
        {text}
      </p>
      <div class="buttons">
        <button
          type="button"
          class="plain first"
          onClick={() => {
            unsent.keep(what, undefined);
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
