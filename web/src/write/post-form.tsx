import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Backoff, TidingsError } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { Field } from '../chrome/field.tsx';
import { useFaults } from '../chrome/faults.ts';
import { notify } from '../chrome/notices.tsx';
import { type Refusals, sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import type { UnsentFor, Waiting } from './unsent.ts';

/** What a writer writes. */
export interface Words {
  title: string;
  content: string;
}

export const nothing: Words = { title: '', content: '' };

/** A button of the form. The first of them is what Ctrl + Enter does. */
export interface Deed {
  label: string;
  /** @throws {TidingsError} whose faults are shown beside their fields */
  run: (words: Words) => Promise<void>;
  /** Whether it asks the writer something: then it is not done again by itself. */
  asks?: boolean;
}

interface PostFormProps {
  label: string;
  /** What the words are for. */
  what: UnsentFor;
  words: Words;
  /** Whether there is a title; a reply has none. */
  titled?: boolean;
  onInput?: (words: Words) => void;
  deeds: readonly [Deed, ...Deed[]];
  /** Absent where there is nothing to go back to. */
  onCancel?: () => void;
  cancelLabel?: string;
  /** What that button says while nothing is written; null: there is none then. The same unless it is given. */
  closeLabel?: string | null;
  /** Only the title is shown until somebody begins to write. */
  folded?: boolean;
  onFocus?: () => void;
  autofocus?: boolean;
  /** What refusals mean here. */
  refusals?: Refusals;
  /** Shown over the buttons. */
  warning?: string | undefined;
}

const names = ['title', 'content'];
const MAX_CONTENT = 10_000;
/** From here on the letters that are left are counted. */
const NEARLY_FULL = 9500;
/** Between two attempts to send what could not be sent, while there is a connection. Milliseconds. */
const RETRY = { base: 2000, cap: 30_000 };

/** The form in which posts and drafts are written. */
export function PostForm(props: PostFormProps) {
  const {
    label,
    what,
    deeds,
    onInput,
    onCancel,
    folded = false,
    onFocus,
    autofocus = false,
    warning,
    refusals,
  } = props;
  const { cancelLabel = say('cancel'), closeLabel = cancelLabel, titled = true } = props;
  const touched = useRef(false);
  /** How often the words have been changed. */
  const changes = useRef(0);
  const form = useRef<HTMLFormElement>(null);
  // Nothing else that is kept with them is to be sent.
  const [words, setWords] = useState<Words>(() => {
    const { title, content } = props.words;
    return { title, content };
  });
  const [busy, setBusy] = useState(false);
  const { faults, clear, show } = useFaults(names, form, { refusals });
  const { unsent, timeline } = useVisit();
  // What waited before the writer looked at another place goes on to.
  const [waiting, setWaiting] = useState(() => unsent.waiting(what, words));
  const [backoff] = useState(() => new Backoff(RETRY));
  const isLive = timeline.status.value.state === 'live';
  const wait = (next: Waiting | undefined) => {
    unsent.wait(what, words, next);
    setWaiting(next);
  };
  useLayoutEffect(() => {
    if (waiting) show(waiting.error);
  }, []);

  // The attribute works once in a page's life.
  useLayoutEffect(() => {
    if (autofocus) form.current?.querySelector<HTMLElement>('input, textarea')?.focus();
  }, [autofocus]);

  const backLabel = words.title + words.content === '' ? closeLabel : cancelLabel;
  const write = (change: Partial<Words>) => {
    touched.current = true;
    changes.current += 1;
    const changed = { ...words, ...change };
    setWords(changed);
    onInput?.(changed);
    if (!waiting) return;
    wait(undefined);
    clear();
  };
  const run = async (at: number, byItself = false) => {
    const deed = deeds[at];
    if (busy || !deed) return;
    const sent = changes.current;
    setBusy(true);
    // Done again by itself, it goes on to say why until it is done.
    if (!byItself) {
      clear();
      backoff.reset();
    }
    try {
      await deed.run(words);
      wait(undefined);
    } catch (error) {
      if (form.current) show(error);
      else notify(say('write.kept', { why: sentenceOf(error, refusals) }), 'failed');
      // What has been changed meanwhile is not what was to be sent.
      const again = isOutage(error) && !deed.asks && changes.current === sent;
      const next = again ? { deed: at, error } : undefined;
      // Words that were not changed are kept as well, so that their writer comes back to the open form that promised to send them.
      if (form.current && next && !unsent.of(what)) onInput?.(words);
      // One who has left the form before was told of nothing that waits, and one who has discarded the words wants nothing sent.
      if (form.current || (byItself && unsent.of(what))) wait(next);
    } finally {
      setBusy(false);
    }
  };
  // The server can be reached again.
  useEffect(() => backoff.reset(), [isLive]);
  useEffect(() => {
    if (!waiting || busy || !isLive) return undefined;
    const pause = backoff.next((waiting.error.retryAfter ?? 0) * 1000);
    const timer = setTimeout(() => {
      // Another form of the same words, which the writer has left, may have done it meanwhile.
      if (unsent.waiting(what, words)) void run(waiting.deed, true);
    }, pause);
    return () => clearTimeout(timer);
  }, [waiting, busy, isLive]);

  return (
    <form
      ref={form}
      class="post-form"
      aria-label={label}
      noValidate
      onFocusIn={onFocus}
      onSubmit={(event) => {
        event.preventDefault();
        void run(0);
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          void run(0);
        } else if (event.key === 'Enter' && event.target instanceof HTMLInputElement) {
          // A line is finished, not the post.
          event.preventDefault();
          form.current?.querySelector('textarea')?.focus();
        } else if (event.key === 'Escape' && onCancel && !touched.current) {
          // What somebody has written is not thrown away by a key; that takes a button.
          event.preventDefault();
          onCancel();
        }
      }}
    >
      {titled && (
        <Field label={say('write.title')} quiet fault={faults.fields.title}>
          {(links) => (
            <input
              {...links}
              name="title"
              class="title-input"
              dir="auto"
              placeholder={say('write.titlePlaceholder')}
              autocomplete="off"
              maxLength={200}
              enterkeyhint="next"
              value={words.title}
              onInput={(event) => write({ title: event.currentTarget.value })}
            />
          )}
        </Field>
      )}
      {!folded && (
        <>
          <Field label={say('write.text')} quiet fault={faults.fields.content} hint={roomLeft(words.content)}>
            {(links) => (
              <textarea
                {...links}
                name="content"
                dir="auto"
                rows={3}
                placeholder={say(titled ? 'write.textPlaceholder' : 'write.replyPlaceholder')}
                value={words.content}
                onInput={(event) => write({ content: event.currentTarget.value })}
              />
            )}
          </Field>
          {warning !== undefined && (
            <p class="hint" role="alert">
              {warning}
            </p>
          )}
          {faults.whole !== undefined && (
            <p class="fault" role="alert">
              {faults.whole}
              {waiting && ` ${say('write.waits')}`}
            </p>
          )}
          <div class="buttons">
            {onCancel && backLabel !== null && (
              <button type="button" class="plain first" onClick={onCancel}>
                {backLabel}
              </button>
            )}
            {deeds.slice(1).map((deed, at) => (
              <button
                key={deed.label}
                type="button"
                class="secondary"
                aria-disabled={busy}
                onClick={() => void run(at + 1)}
              >
                {deed.label}
              </button>
            ))}
            <button type="submit" class="primary" aria-disabled={busy}>
              {deeds[0].label}
            </button>
          </div>
        </>
      )}
    </form>
  );
}

/** Whether the server could not be reached. A limit is none: it would be met again. */
function isOutage(error: unknown): error is TidingsError {
  return error instanceof TidingsError && error.temporary && error.code !== 'too_many_requests';
}

/** How much more can be written, once that is little. */
function roomLeft(content: string): string | undefined {
  if (content.length < NEARLY_FULL) return undefined;
  // The server counts code points.
  const left = MAX_CONTENT - Array.from(content).length;
  return say(left < 0 ? 'write.tooMany' : 'write.left', { count: Math.abs(left) });
}
