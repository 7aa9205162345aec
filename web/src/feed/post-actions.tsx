import type { ComponentChildren } from 'preact';
import type { ShownPost } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { say } from '../languages/say.ts';
import { ReportButton } from '../moderation/report-button.tsx';
import { service } from '../service.ts';
import { RemovePost } from '../write/remove-post.tsx';
import { VoteButton } from './vote-button.tsx';

interface PostActionsProps {
  post: ShownPost;
  onEdit: () => void;
  /** What leads on to the replies. */
  children: ComponentChildren;
}

/** What a reader can do with a post. */
export function PostActions({ post, onEdit, children }: PostActionsProps) {
  const { me } = useVisit();
  return (
    <footer class="post-actions">
      <VoteButton post={post} />
      {children}
      {post.owner_id !== me.id && (
        <ReportButton
          what={say(post.title === null ? 'post.thisReply' : 'post.this')}
          send={(report) => service.posts.report(post.id, report)}
        />
      )}
      {post.owner_id === me.id && (
        <>
          <button type="button" class="plain edit" onClick={onEdit}>
            {say('post.edit')}
          </button>
          <RemovePost post={post} />
        </>
      )}
    </footer>
  );
}
