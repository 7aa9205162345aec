import { useRef, useState } from 'preact/hooks';
import { type PostView, TidingsError } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { announce } from '../chrome/announcer.tsx';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { usePostStore } from '../feed/post-store.ts';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { nameOf } from './post-name.ts';

/** Deletes a post, a reply or a draft, when asked twice: as it was when the question was asked, or it is asked again. */
export function RemovePost({ post }: { post: PostView }) {
  const store = usePostStore();
  const { drafts, unsent } = useVisit();
  const button = useRef<HTMLButtonElement>(null);
  /** What the question is about; `changed`: it is not as it was when it was asked before. */
  const [asked, setAsked] = useState<{ post: PostView; changed: boolean }>();
  const [busy, setBusy] = useState(false);
  const gone = () => {
    unsent.keep(`edit:${post.id}`, undefined);
    drafts.drop(post.id);
    announce(say('news.removed', { title: nameOf(post) }));
  };
  const remove = async (told: PostView) => {
    setBusy(true);
    try {
      await store.remove(post.id, { ifMatch: told });
      gone();
    } catch (error) {
      if (codeOf(error) === 'not_found') gone();
      else if (codeOf(error) === 'version_mismatch' && button.current) await askAgain();
      else notify(say('delete.failed', { why: sentenceOf(error) }), 'failed');
    } finally {
      setBusy(false);
    }
  };
  const askAgain = async () => {
    try {
      setAsked({ post: await service.posts.get(post.id), changed: true });
    } catch (error) {
      if (codeOf(error) === 'not_found') gone();
      else notify(say('delete.failed', { why: sentenceOf(error) }), 'failed');
    }
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        class="plain delete"
        aria-disabled={busy}
        onClick={() => busy || setAsked({ post, changed: false })}
      >
        {say('delete.verb')}
      </button>
      {asked && (
        <Confirmation
          question={say('delete.ask', { post: nameOf(asked.post) })}
          detail={(asked.changed ? `${say('problem.version_mismatch')} ` : '') + whatGoes(asked.post)}
          verb={say('delete.verb')}
          onAnswer={(yes) => {
            setAsked(undefined);
            if (yes) void remove(asked.post);
          }}
        />
      )}
    </>
  );
}

function codeOf(error: unknown): TidingsError['code'] | undefined {
  return error instanceof TidingsError ? error.code : undefined;
}

function whatGoes({ published, published_at, title, replies = 0 }: PostView): string {
  if (published_at === null && replies === 0) return say('delete.draft');
  if (!published)
    return replies === 0 ? say('delete.withdrawn') : say('delete.withdrawnThread', { count: replies });
  if (title === null) return say('delete.reply');
  return replies === 0 ? say('delete.post') : say('delete.thread', { count: replies });
}
