import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { ShownPost } from 'tidings-client';
import { isUsed } from '../board/steadiness.ts';
import { useVisit } from '../board/visit.ts';
import { isAttended, isFocusLost } from '../chrome/attention.ts';
import { announceNews } from '../chrome/announcer.tsx';
import { type HeldEntry, useHeldEntries } from '../chrome/held-entries.ts';
import { useKeptFocus } from '../chrome/kept-focus.ts';
import { Trouble } from '../chrome/trouble.tsx';
import { useSlices } from '../chrome/use-slices.ts';
import { Byline } from '../feed/byline.tsx';
import { LinkedText } from '../feed/linked-text.tsx';
import { PostActions } from '../feed/post-actions.tsx';
import { PostStoreProvider } from '../feed/post-store.ts';
import { PostText } from '../feed/post-text.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { useTracked } from '../feed/use-article.ts';
import { say } from '../languages/say.ts';
import { placeName } from '../places/history.ts';
import { isPlaceWanted, scrollToWanted } from '../places/scroll.ts';
import { service } from '../service.ts';
import { EditPost } from '../write/edit-post.tsx';
import { KeptWords } from '../write/kept-words.tsx';
import { nameOf } from '../write/post-name.ts';
import { ReplyForm } from '../write/reply-form.tsx';
import { useBegun } from '../write/use-begun.ts';
import { DEEPEST } from './depth.ts';
import { type Row, Thread } from './thread.ts';

/** Replies that are drawn in one frame. */
const SLICE = 20;

/** A post with its thread; the address may be that of a reply, which is then marked. */
export function ThreadView({ id }: { id: number }) {
  const { feed, me } = useVisit();
  // Somebody who comes back is put where they were.
  const hasPlace = useRef(isPlaceWanted());
  const more = useRef<HTMLDivElement>(null);
  const thread = useMemo(
    () =>
      new Thread({
        client: service,
        feed,
        me,
        postId: id,
        held: () => more.current !== null && isUsed(more.current),
        onCame: (count) => announceNews(say('thread.arrived', { count })),
      }),
    [id, feed, me],
  );
  useEffect(() => () => thread.close(), [thread]);
  const state = thread.state.value;
  const root = thread.root.value;
  const name = root && nameOf(root);
  useEffect(() => {
    placeName.value = name;
    return () => (placeName.value = undefined);
  }, [name]);
  const isShown = state === 'shown';
  const { unsent } = useVisit();
  const { shown: rows, drawAgain } = useHeldEntries(
    thread.rows.value,
    ({ reply }) => reply.id,
    ({ reply: { id: of } }) => isShown && Boolean(unsent.of(`reply:${of}`) ?? unsent.of(`edit:${of}`)),
  );
  const drawn = useSlices(isShown ? rows.length : 0, SLICE);
  const waits = (postId: number) => rows.slice(drawn).some(({ entry }) => entry.reply.id === postId);
  useLayoutEffect(() => {
    // The rest comes by itself.
    if (isShown) scrollToWanted({ draw: waits, loadMore: drawn < rows.length ? () => undefined : undefined });
  }, [isShown, drawn]);
  const isDrawn = isShown && !waits(id);
  useEffect(() => {
    if (isDrawn && thread.root.peek()?.id !== id && !hasPlace.current) {
      document.querySelector(`[data-post="${id}"]`)?.scrollIntoView({ block: 'center' });
    }
  }, [thread, isDrawn, id]);

  if (state === 'loading') return <Skeleton />;
  if (state === 'missing' || !root) {
    const trouble = typeof state === 'object' ? state.trouble : undefined;
    if (trouble === undefined) {
      const shown = root ? [root.id, ...rows.map(({ entry }) => entry.reply.id)] : [];
      return <Missing was={[...new Set([...shown, id])]} />;
    }
    return (
      <section>
        <h1 class="place-title" tabIndex={-1}>
          {say('thread.unread')}
        </h1>
        <Trouble again={() => void thread.again()}>{trouble}</Trouble>
      </section>
    );
  }
  return (
    <PostStoreProvider value={thread}>
      <Root post={root} />
      <Replies
        thread={thread}
        root={root}
        marked={id}
        rows={rows.slice(0, drawn)}
        more={more}
        drawAgain={drawAgain}
      />
    </PostStoreProvider>
  );
}

/** There is no such post, or none any more. @param was what was shown of its thread, and what was asked for */
function Missing({ was }: { was: readonly number[] }) {
  const title = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    if (isFocusLost()) title.current?.focus({ preventScroll: true });
  }, []);
  return (
    <section>
      <h1 ref={title} class="place-title" tabIndex={-1}>
        {say('thread.missing')}
      </h1>
      <p class="muted">{say('thread.missingWhy')}</p>
      {was.map((postId) => (
        <KeptWords key={postId} of={postId} />
      ))}
    </section>
  );
}

interface RepliesProps {
  thread: Thread;
  root: ShownPost;
  /** The post of the address. */
  marked: number;
  rows: readonly HeldEntry<Row>[];
  /** What is below the replies. */
  more: RefObject<HTMLDivElement | null>;
  drawAgain: () => void;
}

function Replies({ thread, root, marked, rows, more, drawAgain }: RepliesProps) {
  const section = useKeptFocus<HTMLElement>();
  /** The replies that were shown when the others were asked for. */
  const before = useRef<ReadonlySet<number> | undefined>(undefined);
  useLayoutEffect(() => {
    const first = rows.find(({ entry }) => before.current && !before.current.has(entry.reply.id));
    if (!first) return;
    before.current = undefined;
    const post = section.current?.querySelector<HTMLElement>(`[data-post="${first.entry.reply.id}"]`);
    if (isAttended(more.current)) post?.focus({ preventScroll: true });
  }, [rows]);
  const reveal = () => {
    before.current = new Set(rows.map(({ entry }) => entry.reply.id));
    void thread.reveal();
  };
  const pending = thread.pending.value;
  // The pointer and the focus are where they go by then.
  const lookAgain = () => void requestAnimationFrame(() => thread.look());
  return (
    <section ref={section} class="thread" aria-label={say('thread.replies')}>
      <Answer thread={thread} to={root} />
      {rows.map(({ entry, gone }) => (
        <Reply
          key={entry.reply.id}
          thread={thread}
          row={entry}
          gone={gone}
          marked={entry.reply.id === marked}
          drawAgain={drawAgain}
        />
      ))}
      <div
        ref={more}
        class="more-replies"
        aria-live="polite"
        onPointerLeave={lookAgain}
        onFocusOut={lookAgain}
      >
        {pending > 0 && (
          <button type="button" class="primary" onClick={reveal}>
            {say('thread.arrived', { count: pending })}
          </button>
        )}
      </div>
    </section>
  );
}

function Root({ post }: { post: ShownPost }) {
  const article = useRef<HTMLElement>(null);
  const [editing, setEditing] = useBegun(`edit:${post.id}`);
  useTracked(article, post.id);
  return (
    <article
      ref={article}
      class="post root"
      aria-labelledby={`title-${post.id}`}
      tabIndex={-1}
      data-post={post.id}
    >
      <div class="post-inside">
        <Byline post={post} />
        {editing ? (
          <EditPost post={post} onDone={() => setEditing(false)} article={article} />
        ) : (
          <>
            <h1 id={`title-${post.id}`} class="place-title" dir="auto" tabIndex={-1}>
              <LinkedText of={post} text={post.title ?? ''} />
            </h1>
            <PostText post={post} whole />
            <PostActions post={post} onEdit={() => setEditing(true)}>
              <span class="muted replies">
                {post.replies ? say('post.replies', { count: post.replies }) : say('post.noReplies')}
              </span>
            </PostActions>
          </>
        )}
      </div>
    </article>
  );
}

/** The form for an answer to the post itself, which always stands. */
function Answer({ thread, to }: { thread: Thread; to: ShownPost }) {
  return <ReplyForm to={to} autofocus={false} send={(content, key) => thread.reply(to.id, content, key)} />;
}

interface ReplyProps {
  thread: Thread;
  row: Row;
  gone: boolean;
  marked: boolean;
  drawAgain: () => void;
}

function Reply({ thread, row, gone, marked, drawAgain }: ReplyProps) {
  const { reply } = row;
  const depth = Math.min(row.depth, DEEPEST);
  if (reply.deleted || gone) {
    return (
      <div class="reply" style={{ '--depth': depth }} data-post={reply.id}>
        <p class="muted tombstone">{say('thread.deleted')}</p>
        <KeptWords of={reply.id} onDiscard={drawAgain} />
      </div>
    );
  }
  return <LivingReply thread={thread} reply={reply} depth={depth} marked={marked} />;
}

interface LivingReplyProps {
  thread: Thread;
  reply: ShownPost;
  depth: number;
  marked: boolean;
}

function LivingReply({ thread, reply, depth, marked }: LivingReplyProps) {
  const article = useRef<HTMLElement>(null);
  const [editing, setEditing] = useBegun(`edit:${reply.id}`);
  const [answering, setAnswering] = useBegun(`reply:${reply.id}`);
  useTracked(article, reply.id);
  const close = () => {
    if (isAttended(article.current)) article.current?.focus({ preventScroll: true });
    setAnswering(false);
  };
  return (
    <article
      ref={article}
      class={marked ? 'reply marked' : 'reply'}
      style={{ '--depth': depth }}
      aria-label={say('thread.replyBy', { name: reply.owner.username })}
      tabIndex={-1}
      data-post={reply.id}
    >
      <Byline post={reply} />
      {editing ? (
        <EditPost post={reply} onDone={() => setEditing(false)} article={article} />
      ) : (
        <>
          <PostText post={reply} />
          <PostActions post={reply} onEdit={() => setEditing(true)}>
            <button
              type="button"
              class="plain"
              aria-expanded={answering}
              onClick={() => setAnswering(!answering)}
            >
              {say('post.reply')}
            </button>
          </PostActions>
        </>
      )}
      {answering && (
        <ReplyForm
          to={reply}
          autofocus
          send={(content, key) => thread.reply(reply.id, content, key)}
          onClose={close}
        />
      )}
    </article>
  );
}
