import { Mark } from '../chrome/mark.tsx';

/** The moment between opening the page and knowing who is here; longer if the server is away. */
export function Restoring({ trouble }: { trouble: string | undefined }) {
  return (
    <main class="restoring" aria-busy={trouble === undefined}>
      <h1 class="unseen">Tidings</h1>
      <Mark />
      <p role="status">{trouble === undefined ? 'One moment…' : `${trouble} Trying again…`}</p>
    </main>
  );
}
