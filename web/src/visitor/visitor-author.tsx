import { useEffect, useMemo } from 'preact/hooks';
import type { PublicUser } from 'tidings-client';
import { goToDoor } from '../account/door.ts';
import { Face } from '../feed/face.tsx';
import { say } from '../languages/say.ts';
import { joined } from '../people/joined.ts';
import { Nobody } from '../people/nobody.tsx';
import { service } from '../service.ts';
import { Pages } from '../chrome/pages.ts';
import { VisitorList } from './visitor-list.tsx';

/** A user and what they have written. */
export function VisitorAuthor({ username, id }: { username: string; id: number | undefined }) {
  const pages = useMemo(
    () =>
      new Pages<PublicUser>(async (_cursor, signal) => {
        // A mention keeps the name that somebody had.
        const user = await (id === undefined
          ? service.users.byName(username, { signal })
          : service.users.get(id, { signal }));
        return { items: [user], next: undefined };
      }),
    [username, id],
  );
  useEffect(() => () => pages.close(), [pages]);
  const [user] = pages.items.value;
  const error = pages.error.value;
  if (!user) {
    const missing = error?.code === 'not_found' || error?.code === 'invalid';
    const trouble = missing ? undefined : error;
    return <Nobody username={username} missing={missing} error={trouble} again={() => void pages.load()} />;
  }
  return (
    <>
      <section class="profile" aria-labelledby="profile-name">
        <Face id={user.id} name={user.username} />
        <div class="profile-words">
          <h1 id="profile-name" class="place-title" tabIndex={-1}>
            {user.username}
          </h1>
          {user.bio !== '' && (
            <p class="bio" dir="auto">
              {user.bio}
            </p>
          )}
          <p class="muted">
            {say('people.countPosts', { count: user.posts })} ·{' '}
            {say('people.countFollowers', { count: user.followers })} · {joined(user)}
          </p>
          <p class="relations">
            <button type="button" class="secondary" onClick={() => goToDoor('log-in')}>
              {say('people.logIn')}
            </button>
          </p>
        </div>
      </section>
      <section class="timeline" aria-label={say('people.postsOf', { name: user.username })}>
        <VisitorList
          query={{ sort: 'new', ownerId: user.id }}
          nothing={say('people.noPostsVisitor', { name: user.username })}
        />
      </section>
    </>
  );
}
