import { memo, useEffect, useState } from 'react';
import type { FeedStore, ShownPost } from 'tidings-client';
import { Thread } from './thread.tsx';
import { useAttempt } from './use-attempt.tsx';

/** A post is the same object until it changes, so the others are not rendered again. */
export const Post = memo(function Post({ post, store }: { post: ShownPost; store: FeedStore }) {
  const [open, setOpen] = useState(false);
  const { attempt, problem } = useAttempt();
  // The votes and replies of others: only of the posts that are shown.
  useEffect(() => store.track(post.id), [store, post.id]);
  return (
    <article>
      <h2>{post.title}</h2>
      <p>{post.content}</p>
      <footer>
        <small>{post.owner.username}</small>
        <button
          aria-pressed={post.voted}
          onClick={() => void attempt(() => store.vote(post.id, !post.voted))}
        >
          {post.votes} votes
        </button>
        <button aria-expanded={open} onClick={() => setOpen(!open)}>
          {post.replies} replies
        </button>
      </footer>
      {problem}
      {open && <Thread postId={post.id} />}
    </article>
  );
});
