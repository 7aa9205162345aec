import { signal } from '@preact/signals';
import { say } from '../languages/say.ts';

/** What can be done about a notice, with a button in it. */
export interface NoticeAction {
  label: string;
  run: () => void;
}

interface Notice {
  id: number;
  text: string;
  kind: 'done' | 'failed';
  action: NoticeAction | undefined;
}

/** A notice goes by itself after so long; one that can be acted on stays longer. Milliseconds. */
const SHOWN = 7000;
const SHOWN_WITH_ACTION = 20_000;

const notices = signal<readonly Notice[]>([]);
let lastId = 0;

/** Tells the reader something that belongs to no place on the page. @returns takes it back, once it is true no more */
export function notify(text: string, kind: Notice['kind'] = 'done', action?: NoticeAction): () => void {
  const id = (lastId += 1);
  // Said again, it takes the place of what it repeats.
  const others = notices.value.filter((notice) => notice.text !== text);
  notices.value = [...others.slice(-2), { id, text, kind, action }];
  setTimeout(() => dismiss(id), action ? SHOWN_WITH_ACTION : SHOWN);
  return () => dismiss(id);
}

/** The reader has left: what was said to them, and what could be undone, is not for the next one. */
export function dismissAll(): void {
  notices.value = [];
}

function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, text, kind, action }) => (
        <p key={id} class={`notice ${kind}`}>
          <span>{text}</span>
          {action && (
            <button
              type="button"
              class="act"
              onClick={() => {
                dismiss(id);
                action.run();
              }}
            >
              {action.label}
            </button>
          )}
          <button type="button" class="plain" aria-label={say('dismiss')} onClick={() => dismiss(id)}>
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
