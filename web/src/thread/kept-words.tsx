import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { say } from '../languages/say.ts';

/** What the reader has begun to write in answer to a post that has gone. */
export function KeptWords({ to, onDiscard }: { to: number; onDiscard: () => void }) {
  const { unsent } = useVisit();
  const words = unsent.of(`reply:${to}`);
  if (!words) return null;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(words.content);
      notify(say('thread.copied'));
    } catch {
      notify(say('factor.notCopied'), 'failed');
    }
  };
  return (
    <div class="kept-words">
      <p class="hint" role="alert">
        {say('thread.unanswerable')}
      </p>
      <p class="text" dir="auto">
        {words.content}
      </p>
      <div class="buttons">
        <button
          type="button"
          class="plain first"
          onClick={() => {
            unsent.keep(`reply:${to}`, undefined);
            onDiscard();
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
