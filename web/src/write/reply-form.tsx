import { useState } from 'preact/hooks';
import type { PostView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { idempotencyKey } from './idempotency-key.ts';
import { nothing, PostForm } from './post-form.tsx';

interface ReplyFormProps {
  to: PostView;
  autofocus: boolean;
  /** Sends it. @throws {TidingsError} */
  send: (content: string, idempotencyKey: string) => Promise<void>;
  /** The form is to be closed; absent where it always stands. */
  onClose?: () => void;
  /** Brings the form back, for a reader who has discarded what they wrote and wants it again. */
  onAgain?: () => void;
}

/** Where a reply is written. What is in it stays in it, whatever comes into the thread. */
export function ReplyForm({ to, autofocus, send, onClose, onAgain }: ReplyFormProps) {
  const { unsent } = useVisit();
  const what = `reply:${to.id}` as const;
  const [round, setRound] = useState(0);

  const clear = () => {
    unsent.keep(what, undefined);
    setRound((before) => before + 1);
    onClose?.();
  };
  const discard = () => {
    const words = unsent.of(what);
    clear();
    if (!words) return;
    const again = () => {
      unsent.keep(what, words);
      setRound((before) => before + 1);
      onAgain?.();
    };
    notify('Your reply is discarded.', 'done', { label: 'Undo', run: again });
  };
  const reply = async ({ content }: { content: string }) => {
    await send(content, idempotencyKey(unsent, what, { content }));
    clear();
  };

  return (
    <div class="reply-form">
      <PostForm
        key={round}
        label={`Reply to ${to.owner.username}`}
        words={unsent.of(what) ?? nothing}
        titled={false}
        autofocus={autofocus}
        onInput={(words) => unsent.keep(what, words)}
        onCancel={discard}
        cancelLabel="Discard"
        closeLabel={onClose ? 'Cancel' : null}
        deeds={[{ label: 'Reply', run: reply }]}
      />
    </div>
  );
}
