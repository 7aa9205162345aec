import { useEffect, useRef, useState } from 'preact/hooks';
import type { PostAnswer } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { isWatched } from '../chrome/attention.ts';
import { useHeldEntries } from '../chrome/held-entries.ts';
import { useKeptFocus } from '../chrome/kept-focus.ts';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { PostStoreProvider } from '../feed/post-store.ts';
import { PostText } from '../feed/post-text.tsx';
import { RelativeTime } from '../feed/relative-time.tsx';
import { say } from '../languages/say.ts';
import { EditPost } from './edit-post.tsx';
import { RemovePost } from './remove-post.tsx';
import { useBegun } from './use-begun.ts';
import { Trouble } from '../chrome/trouble.tsx';

/** What the reader has written and not published. */
export function DraftsView() {
  const { drafts, timeline, unsent } = useVisit();
  const [trouble, setTrouble] = useState<string | undefined>(undefined);
  const load = () => {
    setTrouble(undefined);
    drafts.load().catch((error: unknown) => setTrouble(sentenceOf(error)));
  };
  useEffect(load, [drafts]);
  const list = drafts.list.value;
  const cards = useKeptFocus<HTMLElement>();
  // One that was published or deleted elsewhere stays for what is written in it.
  const { shown, drawAgain } = useHeldEntries(
    list ?? [],
    ({ id }) => id,
    ({ id }) => unsent.of(`edit:${id}`) !== undefined,
  );
  return (
    <section ref={cards} class="timeline" aria-labelledby="drafts-title">
      <h1 id="drafts-title" class="place-title" tabIndex={-1}>
        {say('place.drafts')}
      </h1>
      <p class="muted place-words">{say('drafts.private')}</p>
      {trouble !== undefined && <Trouble again={load}>{trouble}</Trouble>}
      {list && shown.length === 0 && <p class="nothing">{say('drafts.none')}</p>}
      <PostStoreProvider value={timeline.store}>
        {shown.map(({ entry: draft }) => (
          <DraftCard key={draft.id} draft={draft} onDone={drawAgain} />
        ))}
      </PostStoreProvider>
    </section>
  );
}

function DraftCard({ draft, onDone }: { draft: PostAnswer; onDone: () => void }) {
  const visit = useVisit();
  const article = useRef<HTMLElement>(null);
  const [editing, setEditing] = useBegun(`edit:${draft.id}`);
  const [busy, setBusy] = useState(false);

  const publish = async () => {
    if (busy) return;
    setBusy(true);
    try {
      const post = await visit.timeline.store.edit(draft.id, { published: true });
      const isWaitedFor = isWatched(article.current);
      visit.drafts.drop(post.id);
      if (isWaitedFor) visit.published(post);
      else notify(say('write.published'));
    } catch (error) {
      notify(say('drafts.failed', { why: sentenceOf(error) }), 'failed');
    } finally {
      setBusy(false);
    }
  };

  return (
    <article ref={article} class="post draft" tabIndex={-1} aria-labelledby={`title-${draft.id}`}>
      <div class="post-inside">
        {editing ? (
          <EditPost
            post={draft}
            onDone={() => {
              setEditing(false);
              onDone();
            }}
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
              <button type="button" class="secondary" aria-disabled={busy} onClick={() => void publish()}>
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
