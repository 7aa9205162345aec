import type { PublicUser } from 'tidings-client';
import { useEffect } from 'preact/hooks';
import { useVisit } from '../board/visit.ts';
import { Face } from '../feed/face.tsx';
import { TimelineView } from '../feed/timeline-view.tsx';
import { say } from '../languages/say.ts';
import { go } from '../places/history.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { Nobody } from './nobody.tsx';
import { type Sought, useProfile } from './profile.ts';
import { joined } from './joined.ts';
import { RelationButtons } from './relation-buttons.tsx';

/** Between what is told of a user: a line ends behind it. */
const APART = '\u00a0· ';

/** After a post came or went, how long to wait for another one before the counts are read again. Milliseconds. */
const MORE = 1000;

/** A user: who they are, what one can be to them, and what they have written. */
export function AuthorView({ username, id }: Sought) {
  const { store, state } = useProfile({ username, id });
  const { timeline } = useVisit();
  const { user } = state;
  const name = user?.username ?? username;
  // A mention keeps the name that somebody had, and their address is that of today.
  useEffect(() => {
    if (name !== username) go({ name: 'author', username: name }, { replace: true });
  }, [name, username]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const off = timeline.store.on('news', ({ name: news, post }) => {
      if (news === 'post:updated' || post.owner_id !== store.state.user?.id) return;
      clearTimeout(timer);
      timer = setTimeout(() => void store.load(), MORE);
    });
    return () => {
      clearTimeout(timer);
      off();
    };
  }, [timeline, store]);
  if (!user) return <Nobody username={username} {...state} again={() => void store.load()} />;
  return (
    <>
      <About user={user} onChange={() => store.load()} />
      <Posts user={user} />
    </>
  );
}

function About({ user, onChange }: { user: PublicUser; onChange: () => Promise<void> }) {
  const { me } = useVisit();
  const { id, username, bio, posts, followers, following } = user;
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
          {say('people.countPosts', { count: posts })}
          {APART}
          <PlaceLink to={{ name: 'people', username, list: 'followers' }}>
            {say('people.countFollowers', { count: followers })}
          </PlaceLink>
          {APART}
          <PlaceLink to={{ name: 'people', username, list: 'following' }}>
            {say('people.countFollowing', { count: following })}
          </PlaceLink>
          {APART}
          {joined(user)}
        </p>
        {id === me.id ? (
          <p>
            <PlaceLink to={{ name: 'account' }}>{say('place.account')}</PlaceLink>
          </p>
        ) : (
          <RelationButtons user={user} onChange={onChange} />
        )}
      </div>
    </section>
  );
}

function Posts({ user: { id, username, posts, blocked = false } }: { user: PublicUser }) {
  const { me, timeline } = useVisit();
  useEffect(() => timeline.show({ sort: 'new', ownerId: id }), [timeline, id]);
  if (timeline.query.value.ownerId !== id) return null;
  const nothing = blocked
    ? say('people.blocked', { name: username })
    : id === me.id
      ? say('people.noPostsYours')
      : say(posts === 0 ? 'people.noPostsVisitor' : 'people.noPosts', { name: username });
  return (
    <section class="timeline" aria-label={say('people.postsOf', { name: username })}>
      <TimelineView timeline={timeline} nothing={nothing} />
    </section>
  );
}
