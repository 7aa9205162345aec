import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type PostAnswer, type PostEdit, type PostView, TidingsError } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { usePostStore } from '../feed/post-store.ts';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { type Deed, PostForm, type Words } from './post-form.tsx';
import { nameOf } from './post-name.ts';

interface EditPostProps {
  /** A post, a reply or a draft. */
  post: PostView;
  onDone: () => void;
  /** Brings the form back, for a reader who has discarded what they wrote and wants it again. */
  onAgain: () => void;
  /** What gets the focus back. */
  article: RefObject<HTMLElement | null>;
}

/** Changes a post in its place. If it has been changed elsewhere meanwhile, that is said before anything is overwritten. */
export function EditPost({ post, onDone, onAgain, article }: EditPostProps) {
  const store = usePostStore();
  const visit = useVisit();
  const { drafts, unsent } = visit;
  const what = `edit:${post.id}` as const;
  const [begun] = useState(() => unsent.of(what));
  const [based, setBased] = useState(begun?.version ?? post.version);
  const [warning, setWarning] = useState<string | undefined>(undefined);
  /** What is to be done with the answer to whether the post is to be withdrawn. */
  const [asking, setAsking] = useState<((yes: boolean) => void) | undefined>(undefined);
  const isReply = post.title === null;
  const isDraft = !post.published;

  useEffect(() => () => article.current?.focus({ preventScroll: true }), [article]);

  const done = () => {
    unsent.keep(what, undefined);
    onDone();
  };
  const cancel = () => {
    const words = unsent.of(what);
    done();
    if (!words) return;
    const again = () => {
      unsent.keep(what, words);
      onAgain();
    };
    notify(say('edit.discarded'), 'done', { label: say('undo'), run: again });
  };
  const taken = (answer: PostAnswer) => {
    setWarning(undefined);
    if (!answer.published) {
      drafts.put(answer);
      if (!isDraft) notify(say('edit.withdrawn'));
    }
    done();
    if (answer.published && isDraft) {
      drafts.drop(answer.id);
      visit.published(answer);
    }
  };
  const save = async ({ title, content }: Words, change: PostEdit = {}) => {
    const edit = { content, ...(isReply ? {} : { title }), ...change };
    try {
      taken(await store.edit(post.id, edit, { ifMatch: based }));
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'version_mismatch') throw error;
      const newest = await service.posts.get(post.id);
      // It was done at the time before, and only the answer was lost.
      if (has(newest, edit)) {
        taken(newest);
        return;
      }
      setBased(newest.version);
      setWarning(say('edit.changed', { text: newest.title ?? newest.content }));
    }
  };
  const withdraw = async (words: Words) => {
    const yes = await new Promise<boolean>((resolve) => setAsking(() => resolve));
    setAsking(undefined);
    if (yes) await save(words, { published: false });
  };

  const deeds: readonly [Deed, ...Deed[]] = isDraft
    ? [
        { label: say('write.publish'), run: (words) => save(words, { published: true }) },
        { label: say('edit.saveDraft'), run: (words) => save(words) },
      ]
    : [
        { label: say('edit.save'), run: (words) => save(words) },
        ...(isReply ? [] : [{ label: say('edit.withdraw'), run: withdraw, asks: true }]),
      ];

  return (
    <>
      <PostForm
        what={what}
        label={say(isDraft ? 'edit.draft' : isReply ? 'edit.reply' : 'edit.post')}
        words={begun ?? { title: post.title ?? '', content: post.content }}
        titled={!isReply}
        autofocus
        warning={warning}
        onInput={(words) => unsent.keep(what, { ...words, version: based })}
        onCancel={cancel}
        deeds={deeds}
      />
      {asking && (
        <Confirmation
          question={say('edit.withdrawAsk', { post: nameOf(post) })}
          detail={say('edit.withdrawWhat')}
          verb={say('edit.withdraw')}
          refusal={say('leave')}
          onAnswer={asking}
        />
      )}
    </>
  );
}

/** Whether a post is as an edit would make it. */
function has(post: PostView, edit: PostEdit): boolean {
  return Object.entries(edit).every(([field, value]) => post[field as keyof PostEdit] === value);
}
