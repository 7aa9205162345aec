import { useRef, useState } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { IdempotencyKey } from './idempotency-key.ts';
import { PostForm, type Words } from './post-form.tsx';

const nothing: Words = { title: '', content: '' };

/** What was begun and not sent: it outlives a look at the drafts and a session that ended. */
let unsent = nothing;

/** Where a new post is written. One line until somebody begins. */
export function Composer() {
  const visit = useVisit();
  const [open, setOpen] = useState(unsent !== nothing);
  const [round, setRound] = useState(0);
  const key = useRef(new IdempotencyKey());

  const clear = () => {
    unsent = nothing;
    setOpen(false);
    // A form of its own, with nothing left of the one before.
    setRound(round + 1);
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  };
  const create = async (words: Words, published: boolean) => {
    const post = { ...words, published };
    const answer = await visit.timeline.store.create(post, { idempotencyKey: key.current.of(post) });
    key.current.renew();
    clear();
    if (published) visit.published(answer);
    else {
      visit.drafts.put(answer);
      notify('Kept as a draft. Only you see it.');
    }
  };

  return (
    <section class={open ? 'composer open' : 'composer'} aria-label="Write">
      <PostForm
        key={round}
        label="A new post"
        words={unsent}
        onInput={(words) => (unsent = words)}
        folded={!open}
        onFocus={() => setOpen(true)}
        onCancel={clear}
        cancelLabel="Discard"
        deeds={[
          { label: 'Publish', run: (words) => create(words, true) },
          { label: 'Keep as draft', run: (words) => create(words, false) },
        ]}
      />
    </section>
  );
}
