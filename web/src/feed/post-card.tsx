import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { EditPost } from '../write/edit-post.tsx';
import { RemovePost } from '../write/remove-post.tsx';
import { Face } from './face.tsx';
import { whileOnScreen } from './on-screen.ts';
import { PostText } from './post-text.tsx';
import { RelativeTime } from './relative-time.tsx';
import type { Entry } from './timeline.ts';
import { VoteButton } from './vote-button.tsx';

/** How long an edit by somebody else is marked. Milliseconds. */
const MARKED = 1600;

/** One post of the feed. @param place 1 is the first */
export function PostCard({ entry, place }: { entry: Entry; place: number }) {
  const { me, timeline } = useVisit();
  const article = useRef<HTMLElement>(null);
  const [editing, setEditing] = useState(false);
  const post = entry.post.value;
  const leaving = entry.leaving.value;
  const own = post.owner_id === me.id;

  useEffect(
    () =>
      article.current ? whileOnScreen(article.current, () => timeline.store.track(entry.id)) : undefined,
    [entry, timeline],
  );

  // Anyone who stands on a post that goes is put on the next one, not back at the start of the page.
  useLayoutEffect(() => {
    const going = article.current;
    if (!leaving || !going?.contains(document.activeElement)) return;
    const next = going.nextElementSibling ?? going.previousElementSibling;
    if (next instanceof HTMLElement) next.focus({ preventScroll: true });
  }, [leaving]);

  const edited = useChange(post.version);
  const classes = ['post', entry.live && 'live', leaving && 'leaving', edited && !own && 'just-edited'];
  return (
    <article
      ref={article}
      class={classes.filter(Boolean).join(' ')}
      aria-labelledby={`title-${post.id}`}
      aria-posinset={place}
      aria-setsize={-1}
      tabIndex={-1}
      data-post={post.id}
    >
      <div class="post-inside">
        <header class="byline">
          <Face id={post.owner_id} name={post.owner.username} />
          <span class="who">
            <bdi>{post.owner.username}</bdi>
            {own && <span class="own"> · you</span>}
          </span>
          <span class="when">
            <RelativeTime at={post.created_at} />
            {post.version > 1 && (
              <span title={`Changed ${new Date(post.updated_at).toLocaleString('en')}`}> · edited</span>
            )}
          </span>
        </header>
        {editing ? (
          <EditPost post={post} onDone={() => setEditing(false)} article={article} />
        ) : (
          <>
            <h2 id={`title-${post.id}`} dir="auto">
              {post.title}
            </h2>
            <PostText text={post.content} />
            <footer class="post-actions">
              <VoteButton post={post} />
              {own && (
                <>
                  <button type="button" class="plain edit" onClick={() => setEditing(true)}>
                    Edit
                  </button>
                  <RemovePost post={post} />
                </>
              )}
            </footer>
          </>
        )}
      </div>
    </article>
  );
}

/** Whether a value has changed a moment ago. */
function useChange(value: number): boolean {
  const [changed, setChanged] = useState(false);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return undefined;
    }
    setChanged(true);
    const timer = setTimeout(() => setChanged(false), MARKED);
    return () => clearTimeout(timer);
  }, [value]);
  return changed;
}
