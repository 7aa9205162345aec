import { Mark } from '../chrome/mark.tsx';

/** Shown while the session is restored; longer if the server is unavailable. */
export function Restoring({ trouble }: { trouble: string | undefined }) {
  return (
    <main class="restoring" aria-busy={trouble === undefined}>
      <h1 class="unseen">Tidings</h1>
      <Mark />
      <p role="status">{trouble === undefined ? 'One moment…' : `${trouble} Trying again…`}</p>
    </main>
  );
}
