import type { PublicUser } from 'tidings-client';
import { useEffect, useMemo } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { Face } from '../feed/face.tsx';
import { TimelineView } from '../feed/timeline-view.tsx';
import { PlaceLink } from '../places/place-link.tsx';
import { Profile } from './profile.ts';
import { RelationButtons } from './relation-buttons.tsx';

/** A user: who they are, what one can be to them, and what they have written. */
export function AuthorView({ username }: { username: string }) {
  const { timeline } = useVisit();
  const profile = useMemo(() => new Profile(username), [username]);
  const state = profile.state.value;
  if ('loading' in state) return null;
  if ('user' in state) {
    const { user } = state;
    return (
      <>
        <About
          user={user}
          onChange={async () => {
            await profile.load();
            void timeline.store.load();
          }}
        />
        <Posts user={user} />
      </>
    );
  }
  return (
    <section>
      <h1 class="place-title" tabIndex={-1}>
        {'missing' in state ? `There is no @${username}` : `@${username}`}
      </h1>
      {'missing' in state ? (
        <p class="muted">Nobody here has this name, or not any more.</p>
      ) : (
        <p class="trouble" role="alert">
          {state.trouble}{' '}
          <button type="button" class="link" onClick={() => void profile.load()}>
            Try again
          </button>
        </p>
      )}
    </section>
  );
}

const joined = new Intl.DateTimeFormat('en', { month: 'long', year: 'numeric' });

function About({ user, onChange }: { user: PublicUser; onChange: () => Promise<void> }) {
  const { me } = useVisit();
  const { id, username, bio, posts, followers, following, created_at } = user;
  return (
    <section class="profile" aria-labelledby="profile-name">
      <Face id={id} name={username} />
      <div class="profile-words">
        <h1 id="profile-name" class="place-title" tabIndex={-1}>
          {username}
        </h1>
        {bio !== '' && (
          <p class="bio" dir="auto">
            {bio}
          </p>
        )}
        <p class="muted">
          <Number of={posts} one="post" many="posts" /> ·{' '}
          <Number of={followers} one="follower" many="followers" /> · {following.toLocaleString('en')}{' '}
          following · here since {joined.format(new Date(created_at))}
        </p>
        {id === me.id ? (
          <p>
            <PlaceLink to={{ name: 'account' }}>Your account</PlaceLink>
          </p>
        ) : (
          <RelationButtons user={user} onChange={onChange} />
        )}
      </div>
    </section>
  );
}

function Number({ of, one, many }: { of: number; one: string; many: string }) {
  return (
    <>
      {of.toLocaleString('en')} {of === 1 ? one : many}
    </>
  );
}

function Posts({ user: { id, username, blocked = false } }: { user: PublicUser }) {
  const { me, timeline } = useVisit();
  useEffect(() => timeline.show({ sort: 'new', ownerId: id }), [timeline, id]);
  if (timeline.query.value.ownerId !== id) return null;
  const nothing = blocked
    ? `You have blocked ${username}, and see nothing of theirs.`
    : id === me.id
      ? 'You have not published anything yet.'
      : `Nothing of ${username}’s is here for you to read.`;
  return (
    <section class="timeline" aria-label={`Posts of ${username}`}>
      <TimelineView timeline={timeline} nothing={nothing} />
    </section>
  );
}
