import { useEffect, useMemo } from 'preact/hooks';
import type { PublicUser } from 'tidings-client';
import { goToDoor } from '../account/door.ts';
import { sentenceOf } from '../chrome/sentence.ts';
import { Trouble } from '../chrome/trouble.tsx';
import { Face } from '../feed/face.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { joined, Number } from '../people/profile-numbers.tsx';
import { service } from '../service.ts';
import { Pages } from './pages.ts';
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
    if (!error) return <Skeleton />;
    const missing = error.code === 'not_found' || error.code === 'invalid';
    return (
      <section>
        <h1 class="place-title" tabIndex={-1}>
          {missing ? `There is no @${username}` : `@${username}`}
        </h1>
        {missing ? (
          <p class="muted">Nobody here has this name, or not any more.</p>
        ) : (
          <Trouble again={() => void pages.load()}>{sentenceOf(error)}</Trouble>
        )}
      </section>
    );
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
            <Number of={user.posts} one="post" many="posts" /> ·{' '}
            <Number of={user.followers} one="follower" many="followers" /> · joined{' '}
            {joined.format(new Date(user.created_at))}
          </p>
          <p class="relations">
            <button type="button" class="secondary" onClick={() => goToDoor('log-in')}>
              Log in to follow
            </button>
          </p>
        </div>
      </section>
      <section class="timeline" aria-label={`Posts of ${user.username}`}>
        <VisitorList
          query={{ sort: 'new', ownerId: user.id }}
          nothing={`${user.username} has not published anything yet.`}
        />
      </section>
    </>
  );
}
