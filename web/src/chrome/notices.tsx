import { signal } from '@preact/signals';

interface Notice {
  id: number;
  text: string;
  kind: 'done' | 'failed';
}

/** A notice goes by itself after so long. Milliseconds. */
const SHOWN = 7000;

const notices = signal<readonly Notice[]>([]);
let lastId = 0;

/** Tells the reader something that belongs to no place on the page. */
export function notify(text: string, kind: Notice['kind'] = 'done'): void {
  const id = (lastId += 1);
  // Said again, it takes the place of what it repeats.
  const others = notices.value.filter((notice) => notice.text !== text);
  notices.value = [...others.slice(-2), { id, text, kind }];
  setTimeout(() => dismiss(id), SHOWN);
}

function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, text, kind }) => (
        <p key={id} class={`notice ${kind}`}>
          <span>{text}</span>
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => dismiss(id)}>
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
