import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { say } from '../languages/say.ts';
import { keepChoice, readChoice } from './stored.ts';

/** Whether single keys do something. Who speaks to their computer may not want a stray word to. */
export const shortcutsOn = signal(readChoice('shortcuts') !== 'off');
const open = signal(false);

export function openKeyboardHelp(): void {
  open.value = true;
}

const keys = [
  ['j', 'keys.next'],
  ['k', 'keys.before'],
  ['v', 'keys.vote'],
  ['o', 'keys.unfold'],
  ['e', 'keys.edit'],
  ['n', 'keys.write'],
  ['.', 'keys.arrivals'],
  ['/', 'keys.search'],
  ['?', 'keys.help'],
] as const;

/** What the keys do, and the switch that turns them off. */
export function KeyboardHelp() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open.value) dialog.current?.showModal();
  }, [open.value]);
  return (
    <dialog
      ref={dialog}
      class="sheet"
      aria-labelledby="keys-title"
      onClose={() => (open.value = false)}
      onClick={(event) => {
        if (event.target === event.currentTarget) event.currentTarget.close();
      }}
    >
      <form method="dialog">
        {/* Else the switch below the list had the focus, and a low window showed the end of the list. */}
        <h2 id="keys-title" tabIndex={-1} autofocus>
          {say('keys.title')}
        </h2>
        <dl class="keys">
          {keys.map(([key, does]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{say(does)}</dd>
            </div>
          ))}
        </dl>
        <p class="muted">{say('keys.others')}</p>
        <label class="tick">
          <input
            type="checkbox"
            checked={shortcutsOn.value}
            onChange={(event) => {
              shortcutsOn.value = event.currentTarget.checked;
              keepChoice('shortcuts', shortcutsOn.value ? null : 'off');
            }}
          />
          {say('keys.on')}
        </label>
        <button type="submit" class="primary">
          {say('close')}
        </button>
      </form>
    </dialog>
  );
}
