import type { PublicUser, RelationList } from 'tidings-client';
import { createRelationsStore } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { EndOfPages } from '../chrome/end-of-pages.tsx';
import { useStore } from '../chrome/use-store.ts';
import { Face } from '../feed/face.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { service } from '../service.ts';
import { Nobody } from './nobody.tsx';
import { useProfile } from './profile.ts';

type List = Extract<RelationList, 'followers' | 'following'>;

const PAGE = 50;

/** Who follows a user, or whom they follow. */
export function PeopleView({ username, list }: { username: string; list: List }) {
  const { store, state } = useProfile({ username });
  const { user } = state;
  if (!user) return <Nobody username={username} {...state} again={() => void store.load()} />;
  return (
    <section aria-labelledby="people-title">
      <h1 id="people-title" class="place-title" tabIndex={-1}>
        <bdi>{user.username}</bdi>
      </h1>
      <nav class="orders" aria-label={say('lists')}>
        <ul>
          <li>
            <PlaceLink to={{ name: 'author', username: user.username, id: user.id }}>
              {say('people.posts')}
            </PlaceLink>
          </li>
          {(['followers', 'following'] as const).map((one) => (
            <li key={one}>
              <PlaceLink to={{ name: 'people', username: user.username, list: one }}>
                {say(`people.${one}`)}
              </PlaceLink>
            </li>
          ))}
        </ul>
      </nav>
      <People user={user} list={list} />
    </section>
  );
}

function People({ user, list }: { user: PublicUser; list: List }) {
  const { me, feed } = useVisit();
  const { store, state } = useStore(
    () => createRelationsStore(service, { list, userId: user.id, limit: PAGE, feed }),
    [list, user.id, feed],
  );
  const { users, loading, error } = state;
  const name = user.username;
  const nobody =
    user.id === me.id
      ? say(list === 'followers' ? 'people.noFollowersYours' : 'people.noFollowingYours')
      : say(list === 'followers' ? 'people.noFollowers' : 'people.noFollowing', { name });
  return (
    <>
      {users.length === 0 && loading && <Skeleton />}
      {users.length === 0 && !loading && !error && <p class="nothing">{nobody}</p>}
      <ul class="people" aria-label={say(`people.${list}`)}>
        {users.map(({ id, username }) => (
          <li key={id}>
            <PlaceLink to={{ name: 'author', username, id }} class="who">
              <Face id={id} name={username} />
              <bdi>{username}</bdi>
            </PlaceLink>
            {id === me.id && <span class="own">{say('people.you')}</span>}
          </li>
        ))}
      </ul>
      <EndOfPages store={store} state={state} />
    </>
  );
}
