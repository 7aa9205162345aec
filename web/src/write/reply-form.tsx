import { useEffect, useState } from 'preact/hooks';
import type { PostView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { say } from '../languages/say.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { nothing, PostForm, type Words } from './post-form.tsx';

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
    setRound((before) => before + 1);
    onClose?.();
  };
  useEffect(() => unsent.onSent(what, clear), [unsent, what, onClose]);
  const discard = () => {
    const words = unsent.of(what);
    unsent.keep(what, undefined);
    clear();
    if (!words) return;
    const again = () => {
      unsent.keep(what, words);
      setRound((before) => before + 1);
      onAgain?.();
    };
    unsent.offered(what, notify(say('reply.discarded'), 'done', { label: say('undo'), run: again }));
  };
  const reply = async (words: Words) => {
    const { content } = words;
    await send(content, idempotencyKey(unsent, what, { content }));
    unsent.wasSent(what, words);
  };

  return (
    <div class="reply-form">
      <PostForm
        key={round}
        label={say('reply.to', { name: to.owner.username })}
        what={what}
        words={unsent.of(what) ?? nothing}
        titled={false}
        autofocus={autofocus}
        onInput={(words) => unsent.keep(what, words)}
        onCancel={discard}
        cancelLabel={say('discard')}
        closeLabel={onClose ? say('cancel') : null}
        refusals={{ conflict: 'reply.closed' }}
        deeds={[{ label: say('reply.send'), run: reply }]}
      />
    </div>
  );
}
