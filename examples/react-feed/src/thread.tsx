import { createThreadStore, type ThreadNode } from 'tidings-client';
import { useStore } from 'tidings-client/react';
import { client } from './client.ts';
import { useAttempt } from './use-attempt.tsx';

/** The replies to a post, live while they are shown. */
export function Thread({ postId }: { postId: number }) {
  const { state, store } = useStore(() => createThreadStore(client, { postId }), [client, postId]);
  const { submit, busy, problem } = useAttempt();
  return (
    <section>
      <Replies of={state.replies} />
      {state.pending > 0 && <button onClick={store.reveal}>{state.pending} new</button>}
      {state.hasMore && <button onClick={store.loadMore}>More</button>}
      <form onSubmit={submit((typed) => store.reply(postId, String(typed.get('content'))))}>
        <input name="content" placeholder="Your reply" required />
        <button disabled={busy}>Reply</button>
      </form>
      {problem}
    </section>
  );
}

function Replies({ of }: { of: readonly ThreadNode[] }) {
  return (
    <ul>
      {of.map(({ reply, replies }) => (
        <li key={reply.id}>
          <p>{reply.deleted ? 'deleted' : `${reply.owner.username}: ${reply.content}`}</p>
          {replies.length > 0 && <Replies of={replies} />}
        </li>
      ))}
    </ul>
  );
}
