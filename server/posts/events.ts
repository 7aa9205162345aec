import type { PostView } from '../events.ts';
import type { EventType } from '../outbox/event-type.ts';

/** The fields of a post in which somebody's words stand. */
const text = ['title', 'content', 'owner.username'];

type Owned = Pick<PostView, 'id' | 'owner_id'>;

const ofPost = {
  entityType: 'post',
  entityId: ({ id }: Owned) => id,
  audience: () => 'public' as const,
  topics: ({ owner_id }: Owned) => ['feed', `author:${owner_id}`],
};

/** A post became visible to others. */
export const postCreated: EventType<'post:created', PostView, PostView> = {
  ...ofPost,
  name: 'post:created',
  payload: (post) => post,
  supersedes: 'nothing',
  redaction: text,
};

/** A visible post changed: its text, or its owner's name. */
export const postUpdated: EventType<'post:updated', PostView, PostView> = {
  ...ofPost,
  name: 'post:updated',
  payload: (post) => post,
  supersedes: 'previous',
  redaction: text,
};

/** A post is no longer visible to others: deleted, or withdrawn to a draft. */
export const postDeleted: EventType<'post:deleted', Owned, { id: number }> = {
  ...ofPost,
  name: 'post:deleted',
  payload: ({ id }) => ({ id }),
  supersedes: 'all',
  redaction: [],
};
