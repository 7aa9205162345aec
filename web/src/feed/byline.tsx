import { isEdited, type PostView } from 'tidings-client';
import { presence } from '../account/account.ts';
import { formats } from '../languages/formats.ts';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { Face } from './face.tsx';
import { RelativeTime } from './relative-time.tsx';

/** Who wrote a post, and when. */
export function Byline({ post }: { post: PostView }) {
  const reader = presence.value;
  const { id, username } = post.owner;
  return (
    <header class="byline">
      <Face id={id} name={username} />
      <PlaceLink to={{ name: 'author', username, id }} class="who" current={false}>
        <bdi>{username}</bdi>
      </PlaceLink>
      {reader.state === 'in' && id === reader.me.id && <span class="own">{say('post.you')}</span>}
      <span class="when">
        <PlaceLink to={{ name: 'post', id: post.id }} current={false}>
          <RelativeTime at={post.created_at} />
        </PlaceLink>
        {isEdited(post) && (
          <span
            title={say('post.changedAt', { time: formats.value.moment.format(new Date(post.updated_at)) })}
          >
            {' '}
            {say('post.edited')}
          </span>
        )}
      </span>
    </header>
  );
}
