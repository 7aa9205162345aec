import type { PostView } from 'tidings-client';
import { goToDoor } from '../account/door.ts';
import { Byline } from '../feed/byline.tsx';
import { Count } from '../feed/count.tsx';
import { LinkedText, SoughtText } from '../feed/linked-text.tsx';
import { PostText } from '../feed/post-text.tsx';
import { VoteMark } from '../feed/vote-mark.tsx';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';

/** A post of a list, for somebody who cannot do anything with it but read. */
export function VisitorPost({ post }: { post: PostView }) {
  return (
    <article class="post" aria-labelledby={`title-${post.id}`} tabIndex={-1} data-post={post.id}>
      <div class="post-inside">
        <Byline post={post} />
        <h2 id={`title-${post.id}`} dir="auto">
          <PlaceLink to={{ name: 'post', id: post.id }} current={false}>
            <SoughtText text={post.title ?? ''} />
          </PlaceLink>
        </h2>
        <PostText post={post} />
        <footer class="post-actions">
          <Votes post={post} />
          <PlaceLink to={{ name: 'post', id: post.id }} class="replies" current={false}>
            {repliesOf(post)}
          </PlaceLink>
        </footer>
      </div>
    </article>
  );
}

/** The post that a thread begins with. */
export function VisitorRoot({ post }: { post: PostView }) {
  return (
    <article class="post root" aria-labelledby={`title-${post.id}`} tabIndex={-1} data-post={post.id}>
      <div class="post-inside">
        <Byline post={post} />
        <h1 id={`title-${post.id}`} class="place-title" dir="auto" tabIndex={-1}>
          <LinkedText of={post} text={post.title ?? ''} />
        </h1>
        <PostText post={post} whole />
        <footer class="post-actions">
          <Votes post={post} />
          <span class="muted replies">{repliesOf(post)}</span>
        </footer>
      </div>
    </article>
  );
}

/** How many have voted. Who wants to vote is asked to log in. */
export function Votes({ post: { votes } }: { post: PostView }) {
  return (
    <button
      type="button"
      class="vote"
      aria-label={say('vote.labelVisitor', { count: votes })}
      title={say('vote.logIn')}
      onClick={() => goToDoor('log-in')}
    >
      <VoteMark />
      <Count value={votes} />
    </button>
  );
}

function repliesOf({ replies = 0 }: PostView): string {
  return replies === 0 ? say('post.noReplies') : say('post.replies', { count: replies });
}
