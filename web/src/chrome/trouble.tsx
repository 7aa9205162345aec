import type { ComponentChildren } from 'preact';
import { say } from '../languages/say.ts';

/** What could not be loaded, in words, and the way to try it again. */
export function Trouble({ again, children }: { again: () => void; children: ComponentChildren }) {
  return (
    <p class="trouble" role="alert">
      {children}{' '}
      <button type="button" class="link" onClick={again}>
        {say('again')}
      </button>
    </p>
  );
}
