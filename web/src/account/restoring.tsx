import { Mark } from '../chrome/mark.tsx';
import { say } from '../languages/say.ts';
import { SITE } from '../places/place.ts';

/** Shown while the session is restored; longer if the server is unavailable. */
export function Restoring({ trouble }: { trouble: string | undefined }) {
  return (
    <main class="restoring" aria-busy={trouble === undefined}>
      <h1 class="unseen">{SITE}</h1>
      <Mark />
      <p role="status">
        {trouble === undefined ? say('restoring.wait') : say('restoring.again', { why: trouble })}
      </p>
    </main>
  );
}
