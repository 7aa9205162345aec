import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type PostAnswer, type PostEdit, type PostView, TidingsError } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { isAttended, isWatched } from '../chrome/attention.ts';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { usePostStore } from '../feed/post-store.ts';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { type Deed, PostForm, type Words } from './post-form.tsx';
import { beginningOf, nameOf } from './post-name.ts';

interface EditPostProps {
  /** A post, a reply or a draft. */
  post: PostView;
  /** It is only shown for what is written here. */
  gone?: boolean;
  onDone: () => void;
  /** What gets the focus back. */
  article: RefObject<HTMLElement | null>;
}

/** Changes a post in its place. If it has been changed elsewhere meanwhile, that is said before anything is overwritten. */
export function EditPost({ post, gone = false, onDone, article }: EditPostProps) {
  const store = usePostStore();
  const visit = useVisit();
  const { drafts, unsent } = visit;
  const what = `edit:${post.id}` as const;
  const [begun] = useState(() => unsent.of(what));
  /** The post as the writer knows it. */
  const [based, setBased] = useState<Based>(() => begun?.based ?? post);
  const [warning, setWarning] = useState<string | undefined>(undefined);
  /** What is to be done with the answer to whether the post is to be withdrawn. */
  const [asking, setAsking] = useState<((yes: boolean) => void) | undefined>(undefined);
  const isReply = post.title === null;
  const isDraft = !based.published;

  useEffect(
    () => () => {
      if (isAttended(article.current)) article.current?.focus({ preventScroll: true });
    },
    [article],
  );

  const done = () => {
    unsent.keep(what, undefined);
    onDone();
  };
  const cancel = () => {
    const isListed = drafts.list.peek()?.some(({ id }) => id === post.id);
    unsent.discard(what, 'edit.discarded', isListed ? { name: 'drafts' } : { name: 'post', id: post.id });
    onDone();
  };
  const taken = (answer: PostAnswer) => {
    setWarning(undefined);
    if (!answer.published) {
      drafts.put(answer);
      if (!isDraft) notify(say('edit.withdrawn'));
    }
    const isWaitedFor = isWatched(article.current);
    done();
    if (answer.published && isDraft) {
      drafts.drop(answer.id);
      if (isWaitedFor) visit.published(answer);
      else notify(say('write.published'));
    }
  };
  const save = async (words: Words, change: PostEdit = {}, known = based): Promise<void> => {
    const { title, content } = words;
    const edit = { content, ...(isReply ? {} : { title }), ...change };
    try {
      taken(await store.edit(post.id, edit, { ifMatch: known }));
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'version_mismatch') throw error;
      const newest = await service.posts.get(post.id);
      // It was done at the time before, and only the answer was lost.
      if (has(newest, edit)) taken(newest);
      // A moderator has closed its thread, say: nothing that the writer could overwrite.
      else if (has(newest, textOf(known))) await save(words, change, newest);
      else {
        setBased(newest);
        setWarning(conflictOf(newest, known));
        if (unsent.of(what)) unsent.keep(what, { ...words, based: baseOf(newest) });
      }
    }
  };
  const withdraw = async (words: Words) => {
    const yes = await new Promise<boolean>((resolve) => setAsking(() => resolve));
    setAsking(undefined);
    if (yes) await save(words, { published: false });
  };

  const deeds: readonly [Deed, ...Deed[]] = isDraft
    ? [
        { label: say('write.publish'), run: (words) => save(words, { published: true }) },
        { label: say('edit.saveDraft'), run: (words) => save(words) },
      ]
    : [
        { label: say('edit.save'), run: (words) => save(words) },
        ...(isReply ? [] : [{ label: say('edit.withdraw'), run: withdraw, asks: true }]),
      ];

  return (
    <>
      <PostForm
        what={what}
        label={say(isDraft ? 'edit.draft' : isReply ? 'edit.reply' : 'edit.post')}
        words={begun ?? { title: post.title ?? '', content: post.content }}
        titled={!isReply}
        autofocus
        warning={warning ?? (gone ? say('edit.gone') : undefined)}
        onInput={(words) => unsent.keep(what, { ...words, based: baseOf(based) })}
        onCancel={cancel}
        deeds={deeds}
      />
      {asking && (
        <Confirmation
          question={say('edit.withdrawAsk', { post: nameOf(post) })}
          detail={say('edit.withdrawWhat')}
          verb={say('edit.withdraw')}
          refusal={say('leave')}
          onAnswer={asking}
        />
      )}
    </>
  );
}

type Based = Pick<PostView, 'version' | 'title' | 'content' | 'published'>;

/** As much of a post as is kept with a change of it. */
function baseOf({ version, title, content, published }: Based): Based {
  return { version, title, content, published };
}

/** What a writer sees of a post, but for its version. */
function textOf({ title, content, published }: Based): Omit<Based, 'version'> {
  return { title, content, published };
}

/** What of the newest state of a post its writer does not know yet. */
function conflictOf({ title, content, published }: Based, known: Based): string {
  const facts: string[] = [];
  if (published !== known.published) facts.push(say(published ? 'edit.nowPublic' : 'edit.nowDraft'));
  if (title === known.title && content === known.content) return facts.join(' ');
  if (title !== null && title !== known.title)
    facts.push(say('edit.changedTitle', { text: beginningOf(title) }));
  if (content !== known.content) facts.push(say('edit.changedText', { text: beginningOf(content) }));
  return [...facts, say('edit.replace')].join(' ');
}

/** Whether a post has what an edit says. */
function has(post: PostView, edit: Partial<Omit<Based, 'version'>>): boolean {
  return Object.entries(edit).every(([field, value]) => post[field as keyof typeof edit] === value);
}
