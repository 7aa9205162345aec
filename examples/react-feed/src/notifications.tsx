import type { NotificationView } from 'tidings-client';
import { useNotifications } from 'tidings-client/react';
import { client } from './client.ts';
import { useAttempt } from './use-attempt.tsx';

export function Notifications() {
  const { state, store } = useNotifications(client);
  const { attempt, problem } = useAttempt();
  return (
    <details>
      <summary>{state.unread} unread</summary>
      <ul>
        {state.notifications.map((one) => (
          <li key={one.id}>{one.read ? sentenceOf(one) : <strong>{sentenceOf(one)}</strong>}</li>
        ))}
      </ul>
      <button onClick={() => void attempt(store.read)}>Mark as read</button>
      {problem}
    </details>
  );
}

function sentenceOf({ kind, actor, people }: NotificationView): string {
  switch (kind) {
    case 'reply':
      return `${actor?.username} replied to you`;
    case 'mention':
      return `${actor?.username} mentioned you`;
    case 'follow':
      return `${actor?.username} follows you`;
    case 'votes':
      return `${people} voted for a post of yours`;
    default:
      return 'A moderator looked at something of yours';
  }
}
