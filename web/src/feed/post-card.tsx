import { useComputed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { EditPost } from '../write/edit-post.tsx';
import { useBegun } from '../write/use-begun.ts';
import { Byline } from './byline.tsx';
import { SoughtText } from './linked-text.tsx';
import { PostActions } from './post-actions.tsx';
import { PostText } from './post-text.tsx';
import type { Entry } from './timeline.ts';
import { useEdited, useTracked, useYieldedFocus } from './use-article.ts';

/** One post of the feed. */
export function PostCard({ entry }: { entry: Entry }) {
  const { me, timeline } = useVisit();
  const article = useRef<HTMLElement>(null);
  const [editing, setEditing] = useBegun(`edit:${entry.id}`);
  const post = entry.post.value;
  const leaving = entry.leaving.value;
  const gone = entry.gone.value;
  const own = post.owner_id === me.id;
  useTracked(article, entry.id);
  useYieldedFocus(article, leaving);
  useEffect(() => {
    if (gone && !editing) timeline.leave(entry);
  }, [gone, editing]);
  const seenFrom = useComputed(() => timeline.seenFrom.value === entry.id && entry.place.value > 1);
  const edited = useEdited(post.updated_at);
  const classes = ['post', entry.live && 'live', leaving && 'leaving', edited && !own && 'just-edited'];
  return (
    <article
      ref={article}
      class={classes.filter(Boolean).join(' ')}
      aria-labelledby={`title-${post.id}`}
      aria-posinset={entry.place}
      aria-setsize={-1}
      tabIndex={-1}
      data-post={post.id}
    >
      {seenFrom.value && <p class="since">{say('feed.since')}</p>}
      <div class="post-inside">
        <Byline post={post} />
        {editing ? (
          <EditPost post={post} gone={gone} onDone={() => setEditing(false)} article={article} />
        ) : (
          <>
            <h2 id={`title-${post.id}`} dir="auto">
              <PlaceLink to={{ name: 'post', id: post.id }} current={false}>
                <SoughtText text={post.title ?? ''} />
              </PlaceLink>
            </h2>
            <PostText post={post} />
            <PostActions post={post} onEdit={() => setEditing(true)}>
              <PlaceLink to={{ name: 'post', id: post.id }} class="replies" current={false}>
                {post.replies ? say('post.replies', { count: post.replies }) : say('post.reply')}
              </PlaceLink>
            </PostActions>
          </>
        )}
      </div>
    </article>
  );
}
