import { useFeed } from 'tidings-client/react';
import { client } from './client.ts';
import { Notifications } from './notifications.tsx';
import { Post } from './post.tsx';
import { useAttempt } from './use-attempt.tsx';

export function Feed() {
  const { state, store } = useFeed(client, { limit: 20 });
  const { submit, busy, problem } = useAttempt();
  const publish = submit((typed) =>
    store.create({ title: String(typed.get('title')), content: String(typed.get('content')) }),
  );
  return (
    <main>
      <header>
        <span role="status">{state.status.state}</span>
        {state.status.state === 'offline' && <button onClick={store.reconnect}>Try now</button>}
        <Notifications />
        <button onClick={() => void client.logOut().catch(console.error)}>Log out</button>
      </header>
      <form onSubmit={publish}>
        <input name="title" placeholder="What is new?" maxLength={200} required />
        <input name="content" placeholder="More about it" />
        <button disabled={busy}>Publish</button>
      </form>
      {problem}
      {state.error && <p role="alert">{state.error.message}</p>}
      {state.pending > 0 && <button onClick={store.reveal}>{state.pending} new</button>}
      {state.posts.map((post) => (
        <Post key={post.id} post={post} store={store} />
      ))}
      {state.hasMore && (
        <button disabled={state.loading} onClick={store.loadMore}>
          More
        </button>
      )}
    </main>
  );
}
