import { useState } from 'preact/hooks';
import { createRelationsStore } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { useKeptFocus } from '../chrome/kept-focus.ts';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { useStore } from '../chrome/use-store.ts';
import { Face } from '../feed/face.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import type { KeptAway } from '../places/place.ts';
import { service } from '../service.ts';

const PAGE = 50;

const nothing = { blocks: 'people.nobodyBlocked', mutes: 'people.nobodyMuted' } as const;
const ends = { blocks: 'unblock', mutes: 'unmute' } as const;

/** Whom the reader has blocked or muted, live; it can be ended here. */
export function KeptAwayView({ list }: { list: KeptAway }) {
  const { feed } = useVisit();
  const { store, state } = useStore(
    () => createRelationsStore(service, { list, limit: PAGE, feed }),
    [list, feed],
  );
  const { users, loading, error } = state;
  const people = useKeptFocus<HTMLUListElement>();
  return (
    <section aria-labelledby="kept-away-title">
      <h1 id="kept-away-title" class="place-title" tabIndex={-1}>
        {say(`place.${list}`)}
      </h1>
      <nav class="orders" aria-label={say('lists')}>
        <ul>
          {(['blocks', 'mutes'] as const).map((one) => (
            <li key={one}>
              <PlaceLink to={{ name: 'kept-away', list: one }}>{say(`place.${one}`)}</PlaceLink>
            </li>
          ))}
          <li>
            <PlaceLink to={{ name: 'account' }}>{say('place.account')}</PlaceLink>
          </li>
        </ul>
      </nav>
      <p class="muted place-words">{say(`people.${list}What`)}</p>
      {users.length === 0 && loading && <Skeleton />}
      {users.length === 0 && !loading && !error && <p class="nothing">{say(nothing[list])}</p>}
      <ul ref={people} class="people" aria-label={say(`place.${list}`)}>
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
  const deed = ends[list];
  const end = async () => {
    if (busy) return;
    setBusy(true);
    try {
      await service.users[deed](id);
      notify(say(`people.done.${deed}`, { name: username }));
    } catch (error) {
      notify(say(`people.still.${list}`, { name: username, why: sentenceOf(error) }), 'failed');
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      type="button"
      class="secondary end-relation"
      aria-label={say(`people.${deed}Name`, { name: username })}
      aria-disabled={busy}
      onClick={() => void end()}
    >
      {say(`people.${deed}`)}
    </button>
  );
}
