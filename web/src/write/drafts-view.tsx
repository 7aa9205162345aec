import { useEffect, useRef, useState } from 'preact/hooks';
import type { PostAnswer } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { useKeptFocus } from '../chrome/kept-focus.ts';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { PostStoreProvider } from '../feed/post-store.ts';
import { PostText } from '../feed/post-text.tsx';
import { RelativeTime } from '../feed/relative-time.tsx';
import { say } from '../languages/say.ts';
import { EditPost } from './edit-post.tsx';
import { RemovePost } from './remove-post.tsx';
import { Trouble } from '../chrome/trouble.tsx';

/** What the reader has written and not published. */
export function DraftsView() {
  const { drafts, timeline } = useVisit();
  const [trouble, setTrouble] = useState<string | undefined>(undefined);
  const load = () => {
    setTrouble(undefined);
    drafts.load().catch((error: unknown) => setTrouble(sentenceOf(error)));
  };
  useEffect(load, [drafts]);
  const list = drafts.list.value;
  const cards = useKeptFocus<HTMLElement>();
  return (
    <section ref={cards} class="timeline" aria-labelledby="drafts-title">
      <h1 id="drafts-title" class="place-title" tabIndex={-1}>
        {say('drafts.title')}
      </h1>
      <p class="muted place-words">{say('drafts.private')}</p>
      {trouble !== undefined && <Trouble again={load}>{trouble}</Trouble>}
      {list?.length === 0 && <p class="nothing">{say('drafts.none')}</p>}
      <PostStoreProvider value={timeline.store}>
        {list?.map((draft) => (
          <DraftCard key={draft.id} draft={draft} />
        ))}
      </PostStoreProvider>
    </section>
  );
}

function DraftCard({ draft }: { draft: PostAnswer }) {
  const visit = useVisit();
  const article = useRef<HTMLElement>(null);
  // What was begun before a reload, or a look at another place, goes on.
  const [editing, setEditing] = useState(() => visit.unsent.of(`edit:${draft.id}`) !== undefined);

  const publish = async () => {
    try {
      const post = await visit.timeline.store.edit(draft.id, { published: true });
      visit.drafts.drop(post.id);
      visit.published(post);
    } catch (error) {
      notify(say('drafts.failed', { why: sentenceOf(error) }), 'failed');
    }
  };

  return (
    <article ref={article} class="post draft" tabIndex={-1} aria-labelledby={`title-${draft.id}`}>
      <div class="post-inside">
        {editing ? (
          <EditPost
            post={draft}
            onDone={() => setEditing(false)}
            onAgain={() => setEditing(true)}
            article={article}
          />
        ) : (
          <>
            <h2 id={`title-${draft.id}`} dir="auto">
              {draft.title}
            </h2>
            <PostText post={draft} />
            <footer class="post-actions">
              <span class="when">
                <RelativeTime at={draft.updated_at} />
              </span>
              <button type="button" class="secondary" onClick={() => void publish()}>
                {say('write.publish')}
              </button>
              <button type="button" class="plain edit" onClick={() => setEditing(true)}>
                {say('post.edit')}
              </button>
              <RemovePost post={draft} />
            </footer>
          </>
        )}
      </div>
    </article>
  );
}
