import { useEffect, useRef, useState } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { isWatched } from '../chrome/attention.ts';
import { notify } from '../chrome/notices.tsx';
import { say } from '../languages/say.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { nothing, PostForm, type Words } from './post-form.tsx';

/** Where a new post is written. One line until somebody begins. */
export function Composer() {
  const visit = useVisit();
  const { unsent } = visit;
  const [open, setOpen] = useState(() => unsent.of('post') !== undefined);
  const [round, setRound] = useState(0);
  /** Whether the form is one that was discarded: its writer wants to go on. */
  const [resumed, setResumed] = useState(false);
  const section = useRef<HTMLElement>(null);

  /** Another form, with the words that are kept. */
  const begin = (resuming: boolean) => {
    setOpen(resuming);
    setResumed(resuming);
    setRound((before) => before + 1);
  };
  const leave = () => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  };
  useEffect(() => unsent.onSent('post', () => begin(false)), [unsent]);
  useEffect(() => unsent.onAgain('post', () => begin(true)), [unsent]);
  const discard = () => {
    unsent.discard('post', 'write.discarded', { name: 'everyone', sort: 'new' });
    begin(false);
    leave();
  };
  const create = async (words: Words, published: boolean) => {
    const post = { ...words, published };
    const key = idempotencyKey(unsent, 'post', post);
    const answer = await visit.timeline.store.create(post, { idempotencyKey: key });
    // Nobody is led away from what they write meanwhile, here or at another place.
    const isWaitedFor = unsent.wasSent('post', words) && isWatched(section.current);
    if (isWaitedFor) leave();
    if (!published) visit.drafts.put(answer);
    if (published && isWaitedFor) visit.published(answer);
    else notify(say(published ? 'write.published' : 'write.drafted'));
  };

  return (
    <section ref={section} class={open ? 'composer open' : 'composer'} aria-label={say('write.section')}>
      <PostForm
        key={round}
        label={say('write.new')}
        what="post"
        words={unsent.of('post') ?? nothing}
        onInput={(words) => unsent.keep('post', words)}
        folded={!open}
        autofocus={resumed}
        onFocus={() => setOpen(true)}
        onCancel={discard}
        cancelLabel={say('discard')}
        closeLabel={say('close')}
        deeds={[
          { label: say('write.publish'), run: (words) => create(words, true) },
          { label: say('write.draft'), run: (words) => create(words, false) },
        ]}
      />
    </section>
  );
}
