import { useEffect, useState } from 'preact/hooks';
import type { OwnerView } from 'tidings-client';
import { useVisit } from '../board/visit.ts';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { Face } from '../feed/face.tsx';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { service } from '../service.ts';

/** Posts that are looked through for their authors, and authors that are suggested at most. */
const POSTS = 50;
const MOST = 5;

/** For a reader who follows nobody: what home is for, and who has written lately, to follow. */
export function Suggestions() {
  const { me } = useVisit();
  const [people, setPeople] = useState<readonly OwnerView[] | undefined>(undefined);
  const [followed, setFollowed] = useState<ReadonlySet<number>>(new Set());

  useEffect(() => {
    const load = async () => {
      const { following } = await service.users.get(me.id);
      if (following > 0) return;
      const { posts } = await service.posts.list({ limit: POSTS });
      const others = posts.map(({ owner }) => owner).filter(({ id }) => id !== me.id);
      setPeople([...new Map(others.map((owner) => [owner.id, owner])).values()].slice(0, MOST));
    };
    // It is an offer: home can be read without it.
    load().catch(() => undefined);
  }, [me.id]);

  if (!people) return null;
  const toggle = async ({ id, username }: OwnerView) => {
    const follows = followed.has(id);
    try {
      await service.users[follows ? 'unfollow' : 'follow'](id);
      setFollowed((before) => new Set(follows ? [...before].filter((one) => one !== id) : [...before, id]));
    } catch (error) {
      notify(
        follows
          ? sentenceOf(error)
          : say('suggestions.failed', {
              name: username,
              why: sentenceOf(error, { conflict: 'people.tooMany' }),
            }),
        'failed',
      );
    }
  };
  return (
    <section class="suggestions" aria-labelledby="suggestions-title">
      <h2 id="suggestions-title">{say('suggestions.title')}</h2>
      <p class="muted">
        <Said
          of="suggestions.what"
          everyone={<PlaceLink to={{ name: 'everyone', sort: 'new' }}>{say('place.everyone')}</PlaceLink>}
        />
        {people.length > 0 && ` ${say('suggestions.these')}`}
      </p>
      <ul>
        {people.map((person) => (
          <li key={person.id}>
            <Face id={person.id} name={person.username} />
            <PlaceLink to={{ name: 'author', ...person }} class="who">
              {person.username}
            </PlaceLink>
            <button
              type="button"
              class={followed.has(person.id) ? 'plain' : 'secondary'}
              aria-label={say(followed.has(person.id) ? 'people.unfollowName' : 'people.followName', {
                name: person.username,
              })}
              onClick={() => void toggle(person)}
            >
              {say(followed.has(person.id) ? 'people.unfollow' : 'people.follow')}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
