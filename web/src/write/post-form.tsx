import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Field } from '../chrome/field.tsx';
import { useFaults } from '../chrome/faults.ts';

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
}

interface PostFormProps {
  label: string;
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
  /** Shown over the buttons. */
  warning?: string | undefined;
}

const names = ['title', 'content'];
const MAX_CONTENT = 10_000;
/** From here on the letters that are left are counted. */
const NEARLY_FULL = 9500;

/** The form in which posts and drafts are written. */
export function PostForm(props: PostFormProps) {
  const { label, deeds, onInput, onCancel, folded = false, onFocus, autofocus = false, warning } = props;
  const { cancelLabel = 'Cancel', closeLabel = cancelLabel, titled = true } = props;
  const touched = useRef(false);
  const form = useRef<HTMLFormElement>(null);
  const [words, setWords] = useState(props.words);
  const [busy, setBusy] = useState(false);
  const { faults, clear, show } = useFaults(names, form);

  // The attribute works once in a page's life.
  useLayoutEffect(() => {
    if (autofocus) form.current?.querySelector<HTMLElement>('input, textarea')?.focus();
  }, [autofocus]);

  const backLabel = words.title + words.content === '' ? closeLabel : cancelLabel;
  const write = (change: Partial<Words>) => {
    touched.current = true;
    const changed = { ...words, ...change };
    setWords(changed);
    onInput?.(changed);
  };
  const run = async (deed: Deed) => {
    if (busy) return;
    setBusy(true);
    clear();
    try {
      await deed.run(words);
    } catch (error) {
      show(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <form
      ref={form}
      class="post-form"
      aria-label={label}
      noValidate
      onFocusIn={onFocus}
      onSubmit={(event) => {
        event.preventDefault();
        void run(deeds[0]);
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          void run(deeds[0]);
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
        <Field label="Title" quiet fault={faults.fields.title}>
          {(links) => (
            <input
              {...links}
              name="title"
              class="title-input"
              dir="auto"
              placeholder="What is new?"
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
          <Field label="Text" quiet fault={faults.fields.content} hint={roomLeft(words.content)}>
            {(links) => (
              <textarea
                {...links}
                name="content"
                dir="auto"
                rows={3}
                placeholder={titled ? 'Tell more, if there is more to tell' : 'Your reply'}
                value={words.content}
                onInput={(event) => write({ content: event.currentTarget.value })}
              />
            )}
          </Field>
          {warning !== undefined && <p class="hint">{warning}</p>}
          {faults.whole !== undefined && (
            <p class="fault" role="alert">
              {faults.whole}
            </p>
          )}
          <div class="buttons">
            {onCancel && backLabel !== null && (
              <button type="button" class="plain first" onClick={onCancel}>
                {backLabel}
              </button>
            )}
            {deeds.slice(1).map((deed) => (
              <button
                key={deed.label}
                type="button"
                class="secondary"
                aria-disabled={busy}
                onClick={() => void run(deed)}
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

/** How much more can be written, once that is little. */
function roomLeft(content: string): string | undefined {
  if (content.length < NEARLY_FULL) return undefined;
  // The server counts code points.
  const left = MAX_CONTENT - Array.from(content).length;
  const number = Math.abs(left);
  return `${number} ${number === 1 ? 'character' : 'characters'} ${left < 0 ? 'too many' : 'left'}`;
}
