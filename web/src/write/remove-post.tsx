import { useState } from 'preact/hooks';
import type { PostView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { usePostStore } from '../feed/post-store.ts';
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
      notify(`It was not deleted. ${sentenceOf(error)}`, 'failed');
    }
  };
  return (
    <>
      <button type="button" class="plain delete" onClick={() => setAsking(true)}>
        Delete
      </button>
      {asking && (
        <Confirmation
          question={`Delete ${nameOf(post)} for good?`}
          detail={whatGoes(post)}
          verb="Delete"
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
  if (!published) return 'Nobody else has seen it.';
  if (title === null) return 'It goes from everyone’s page, with its votes. Replies to it stay.';
  const thread = replies === 0 ? '' : replies === 1 ? ' and its reply' : ` and its ${replies} replies`;
  return `It goes from everyone’s page, with its votes${thread}.`;
}
