import { MAX_PENDING } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { isFocusLost } from '../chrome/attention.ts';
import { say } from '../languages/say.ts';
import { Face } from './face.tsx';

/** How many faces are shown. */
const FACES = 3;

/** The pill is gone with what it brings: who was on it is on the first of that then. */
function focusFirst(): void {
  // Drawn by then, as are the posts.
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      if (isFocusLost())
        document.querySelector<HTMLElement>('.entries .post')?.focus({ preventScroll: true });
    }),
  );
}

/** Says that new posts wait, and whose, and brings them when the reader wants them: the list does not move by itself. */
export function ArrivalsPill() {
  const visit = useVisit();
  const arrivals = visit.arrivals.value;
  const count = arrivals.length;
  const authors = new Map(arrivals.map(({ owner }) => [owner.id, owner.username]));
  return (
    <div class="pill-place" aria-live="polite">
      {count > 0 && (
        <button
          type="button"
          class="pill"
          onClick={(event) => {
            const byKey = event.currentTarget.matches(':focus-visible');
            visit.showArrivals();
            if (byKey) focusFirst();
          }}
        >
          <span class="faces" aria-hidden="true">
            {[...authors].slice(0, FACES).map(([id, name]) => (
              <Face key={id} id={id} name={name} />
            ))}
          </span>
          {count >= MAX_PENDING
            ? say('feed.arrivedMany', { count: MAX_PENDING })
            : say('feed.arrived', { count })}
        </button>
      )}
    </div>
  );
}
