import { useState } from 'preact/hooks';
import type { PostView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { usePostStore } from '../feed/post-store.ts';
import { say } from '../languages/say.ts';
import { nameOf } from './post-name.ts';

/** Deletes a post, a reply or a draft, when asked twice. */
export function RemovePost({ post }: { post: PostView }) {
  const store = usePostStore();
  const { drafts, unsent } = useVisit();
  const [asking, setAsking] = useState(false);
  const remove = async () => {
    try {
      await store.remove(post.id);
      drafts.drop(post.id);
      unsent.keep(`edit:${post.id}`, undefined);
    } catch (error) {
      notify(say('delete.failed', { why: sentenceOf(error) }), 'failed');
    }
  };
  return (
    <>
      <button type="button" class="plain delete" onClick={() => setAsking(true)}>
        {say('delete.verb')}
      </button>
      {asking && (
        <Confirmation
          question={say('delete.ask', { post: nameOf(post) })}
          detail={whatGoes(post)}
          verb={say('delete.verb')}
          onAnswer={(yes) => {
            setAsking(false);
            if (yes) void remove();
          }}
        />
      )}
    </>
  );
}

function whatGoes({ published, title, replies = 0 }: PostView): string {
  if (!published) return say('delete.draft');
  if (title === null) return say('delete.reply');
  return replies === 0 ? say('delete.post') : say('delete.thread', { count: replies });
}
