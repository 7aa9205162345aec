import { useState } from 'preact/hooks';
import { createRelationsStore } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { announce } from '../chrome/announcer.tsx';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { useStore } from '../chrome/use-store.ts';
import { Face } from '../feed/face.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import type { KeptAway } from '../places/place.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { service } from '../service.ts';

const PAGE = 50;

const titles = { blocks: 'Blocked', mutes: 'Muted' } as const;
const nothing = { blocks: 'You have blocked nobody.', mutes: 'You have muted nobody.' } as const;
const explained = {
  blocks: 'You see nothing of each other, and neither can reply to, mention or follow the other.',
  mutes: 'You see nothing of theirs in your lists. They are not told.',
} as const;
const ends = { blocks: 'unblock', mutes: 'unmute' } as const;
const verbs = { blocks: 'Unblock', mutes: 'Unmute' } as const;

/** Whom the reader has blocked or muted, live; it can be ended here. */
export function KeptAwayView({ list }: { list: KeptAway }) {
  const { feed } = useVisit();
  const { store, state } = useStore(
    () => createRelationsStore(service, { list, limit: PAGE, feed }),
    [list, feed],
  );
  const { users, loading, error } = state;
  return (
    <section aria-labelledby="kept-away-title">
      <h1 id="kept-away-title" class="place-title" tabIndex={-1}>
        {titles[list]}
      </h1>
      <nav class="orders" aria-label="Lists">
        <ul>
          {(['blocks', 'mutes'] as const).map((one) => (
            <li key={one}>
              <PlaceLink to={{ name: 'kept-away', list: one }}>{titles[one]}</PlaceLink>
            </li>
          ))}
          <li>
            <PlaceLink to={{ name: 'account' }}>Your account</PlaceLink>
          </li>
        </ul>
      </nav>
      <p class="muted place-words">{explained[list]}</p>
      {users.length === 0 && loading && <Skeleton />}
      {users.length === 0 && !loading && !error && <p class="nothing">{nothing[list]}</p>}
      <ul class="people" aria-label={titles[list]}>
        {users.map(({ id, username }) => (
          <li key={id}>
            <PlaceLink to={{ name: 'author', username, id }} class="who">
              <Face id={id} name={username} />
              <bdi>{username}</bdi>
            </PlaceLink>
            <EndButton list={list} id={id} username={username} />
          </li>
        ))}
      </ul>
      <EndOfPages store={store} state={state} />
    </section>
  );
}

/** Ends it; the event of that takes the user out of the list, here and on other devices. */
function EndButton({ list, id, username }: { list: KeptAway; id: number; username: string }) {
  const [busy, setBusy] = useState(false);
  const end = async () => {
    if (busy) return;
    setBusy(true);
    try {
      await service.users[ends[list]](id);
      announce(`${username} is no longer ${titles[list].toLowerCase()}.`);
    } catch (error) {
      notify(`${username} is still ${titles[list].toLowerCase()}. ${sentenceOf(error)}`, 'failed');
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      type="button"
      class="secondary end-relation"
      aria-label={`${verbs[list]} ${username}`}
      aria-disabled={busy}
      onClick={() => void end()}
    >
      {verbs[list]}
    </button>
  );
}
