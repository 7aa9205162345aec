import { useState } from 'preact/hooks';
import type { PostView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';

/** Deletes a post or a draft, when asked twice. */
export function RemovePost({ post }: { post: PostView }) {
  const { timeline, drafts } = useVisit();
  const [asking, setAsking] = useState(false);
  const remove = async () => {
    try {
      await timeline.store.remove(post.id);
      drafts.drop(post.id);
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
          question="Delete this for good?"
          detail={
            post.published ? 'It goes from everyone’s page, with its votes.' : 'Nobody else has seen it.'
          }
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
