import { useEffect, useRef, useState } from 'preact/hooks';
import type { PostAnswer, PostView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { isWatched } from '../chrome/attention.ts';
import { prefersStillness } from '../chrome/motion.ts';
import { notify } from '../chrome/notices.tsx';
import { say } from '../languages/say.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { nothing, PostForm, type Words } from './post-form.tsx';

interface ReplyFormProps {
  to: PostView;
  autofocus: boolean;
  /** Sends it. @throws {TidingsError} */
  send: (content: string, idempotencyKey: string) => Promise<PostAnswer>;
  /** The form is to be closed; absent where it always stands. */
  onClose?: () => void;
}

/** Where a reply is written. What is in it stays in it, whatever comes into the thread. */
export function ReplyForm({ to, autofocus, send, onClose }: ReplyFormProps) {
  const { unsent } = useVisit();
  const what = `reply:${to.id}` as const;
  const section = useRef<HTMLDivElement>(null);
  const [round, setRound] = useState(0);
  /** Whether the form is one that was discarded: its writer wants to go on. */
  const [resumed, setResumed] = useState(false);

  const clear = () => {
    setRound((before) => before + 1);
    setResumed(false);
    onClose?.();
  };
  const resume = () => {
    setRound((before) => before + 1);
    setResumed(true);
  };
  useEffect(() => unsent.onSent(what, clear), [unsent, what, onClose]);
  useEffect(() => unsent.onAgain(what, resume), [unsent, what]);
  const discard = () => {
    unsent.discard(what, 'reply.discarded', { name: 'post', id: to.id });
    clear();
  };
  const reply = async (words: Words) => {
    const { content } = words;
    const { id } = await send(content, idempotencyKey(unsent, what, { content }));
    const isAwaited = isWatched(section.current);
    if (unsent.wasSent(what, words) && isAwaited) showReply(id);
    else notify(say('reply.sent'));
  };

  return (
    <div ref={section} class="reply-form">
      <PostForm
        key={round}
        label={say('reply.to', { name: to.owner.username })}
        what={what}
        words={unsent.of(what) ?? nothing}
        titled={false}
        autofocus={autofocus || resumed}
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

/** Leads its writer to a reply: it stands below those that were there, which may be far from where it was written. */
function showReply(id: number): void {
  requestAnimationFrame(() => {
    const reply = document.querySelector<HTMLElement>(`[data-post="${id}"]`);
    reply?.focus({ preventScroll: true });
    reply?.scrollIntoView({ block: 'nearest', behavior: prefersStillness() ? 'instant' : 'smooth' });
  });
}
