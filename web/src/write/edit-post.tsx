import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type PostView, TidingsError } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { service } from '../service.ts';
import { PostForm, type Words } from './post-form.tsx';

interface EditPostProps {
  post: PostView;
  onDone: () => void;
  /** What gets the focus back. */
  article: RefObject<HTMLElement | null>;
}

/** Changes a post in its place. If it has been changed elsewhere meanwhile, that is said before anything is overwritten. */
export function EditPost({ post, onDone, article }: EditPostProps) {
  const { timeline, drafts } = useVisit();
  const [based, setBased] = useState(post.version);
  const [warning, setWarning] = useState<string | undefined>(undefined);
  const began = useRef<Words>({ title: post.title ?? '', content: post.content });

  useEffect(() => () => article.current?.focus({ preventScroll: true }), [article]);

  const save = async (words: Words, published?: boolean) => {
    try {
      const edit = published === undefined ? words : { ...words, published };
      const answer = await timeline.store.edit(post.id, edit, { ifMatch: based });
      setWarning(undefined);
      if (!answer.published) {
        drafts.put(answer);
        notify('Moved to your drafts. Nobody else sees it any more.');
      }
      onDone();
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'version_mismatch') throw error;
      const newest = await service.posts.get(post.id);
      setBased(newest.version);
      setWarning(
        `You changed this post elsewhere meanwhile, to “${newest.title}”. Save again to replace that.`,
      );
    }
  };

  return (
    <PostForm
      label="Edit the post"
      words={began.current}
      autofocus
      warning={warning}
      onCancel={onDone}
      deeds={[
        { label: 'Save', run: (words) => save(words) },
        { label: 'Withdraw', run: (words) => save(words, false) },
      ]}
    />
  );
}
