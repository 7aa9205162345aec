import { useEffect, useMemo } from 'preact/hooks';
import type { PostView, ReplyAnswer } from 'tidings-client';
import { goToDoor } from '../account/door.ts';
import { sentenceOf } from '../chrome/sentence.ts';
import { Trouble } from '../chrome/trouble.tsx';
import { Byline } from '../feed/byline.tsx';
import { PostText } from '../feed/post-text.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { say } from '../languages/say.ts';
import { placeName } from '../places/history.ts';
import { service } from '../service.ts';
import { DEEPEST } from '../thread/depth.ts';
import { nameOf } from '../write/post-name.ts';
import { Pages } from '../chrome/pages.ts';
import { Votes, VisitorRoot } from './visitor-post.tsx';

/** Replies in a request, and so many are shown at most. */
const PAGE = 100;
const MOST = 1000;

type Item = { root: PostView } | { reply: ReplyAnswer };

/** A post with its thread, as it is when the visitor comes; the address may be that of a reply. */
export function VisitorThread({ id }: { id: number }) {
  const pages = useMemo(() => {
    let root: PostView | undefined;
    return new Pages<Item>(async (cursor, signal) => {
      if (root === undefined || cursor === undefined) {
        const post = await service.posts.get(id, { signal });
        root = post.root_id == null ? post : await service.posts.get(post.root_id, { signal });
      }
      const page = await service.posts.replies(root.id, { sort: 'old', limit: PAGE, cursor, signal });
      const replies = page.replies.map((reply) => ({ reply }));
      return { items: cursor === undefined ? [{ root }, ...replies] : replies, next: page.next };
    });
  }, [id]);
  useEffect(() => () => pages.close(), [pages]);
  const items = pages.items.value;
  const error = pages.error.value;
  const readsOn = pages.hasMore.value && !error && items.length <= MOST;
  useEffect(() => {
    if (readsOn) void pages.loadMore();
  }, [pages, readsOn, items]);
  const [first] = items;
  const root = first && 'root' in first ? first.root : undefined;
  const name = root && nameOf(root);
  useEffect(() => {
    placeName.value = name;
    return () => (placeName.value = undefined);
  }, [name]);
  const isShown = root !== undefined && !readsOn;
  useEffect(() => {
    if (isShown && root?.id !== id)
      document.querySelector(`[data-post="${id}"]`)?.scrollIntoView({ block: 'center' });
  }, [isShown, root?.id, id]);

  if (!root) {
    if (!error) return <Skeleton />;
    const missing = error.code === 'not_found' || error.code === 'invalid';
    return (
      <section>
        <h1 class="place-title" tabIndex={-1}>
          {say(missing ? 'thread.missing' : 'thread.unread')}
        </h1>
        {missing ? (
          <p class="muted">{say('thread.missingWhy')}</p>
        ) : (
          <Trouble again={() => void pages.load()}>{sentenceOf(error)}</Trouble>
        )}
      </section>
    );
  }
  const replies = inTreeOrder(root.id, items);
  return (
    <>
      <VisitorRoot post={root} />
      <section class="thread" aria-label={say('thread.replies')}>
        <p>
          <button type="button" class="secondary" onClick={() => goToDoor('log-in')}>
            {say('visitor.logInToReply')}
          </button>
        </p>
        {replies.map((reply) => (
          <Reply key={reply.id} reply={reply} marked={reply.id === id} />
        ))}
        {error && <Trouble again={() => void pages.loadMore()}>{sentenceOf(error)}</Trouble>}
      </section>
    </>
  );
}

function Reply({ reply, marked }: { reply: ReplyAnswer; marked: boolean }) {
  const depth = Math.min(reply.depth, DEEPEST);
  if (reply.deleted) {
    return (
      <div class="reply" style={{ '--depth': depth }} data-post={reply.id}>
        <p class="muted tombstone">{say('thread.deleted')}</p>
      </div>
    );
  }
  return (
    <article
      class={marked ? 'reply marked' : 'reply'}
      style={{ '--depth': depth }}
      aria-label={say('thread.replyBy', { name: reply.owner.username })}
      tabIndex={-1}
      data-post={reply.id}
    >
      <Byline post={reply} />
      <PostText post={reply} />
      <footer class="post-actions">
        <Votes post={reply} />
      </footer>
    </article>
  );
}

/** Replies as a tree is read, each behind what it answers. None comes before that in the list. */
function inTreeOrder(rootId: number, items: readonly Item[]): readonly ReplyAnswer[] {
  const below = new Map<number, ReplyAnswer[]>();
  for (const item of items) {
    if (!('reply' in item)) continue;
    const parent = item.reply.parent_id ?? rootId;
    below.set(parent, [...(below.get(parent) ?? []), item.reply]);
  }
  const walk = (id: number): ReplyAnswer[] =>
    (below.get(id) ?? []).flatMap((reply) => [reply, ...walk(reply.id)]);
  return walk(rootId);
}
