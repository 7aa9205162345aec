import type { EventType } from '../topics/event-type.ts';
import { postEvent } from './event-names.ts';
import type { PostView, RemovedPost } from './event-payloads.ts';
import { postView, removedPost } from './schemas.ts';

/** The fields of a post in which somebody's words stand. */
const text = ['title', 'content', 'owner.username'];

type Owned = Pick<PostView, 'id' | 'owner_id'>;

const ofPost = {
  entityType: 'post',
  entityId: ({ id }: Owned) => id,
  audience: () => 'public' as const,
  author: ({ owner_id }: Owned) => owner_id,
  topics: ({ owner_id }: Owned) => ['feed', `author:${owner_id}`],
};

const withPost = { ...ofPost, schema: postView, payload: (post: PostView) => post, redaction: text };

export const postCreated: EventType<typeof postEvent.added, PostView, PostView> = {
  ...withPost,
  name: postEvent.added,
  summary: 'A post became visible',
  description: 'Written as published, or a draft that its owner published.',
  supersedes: 'nothing',
};

export const postUpdated: EventType<typeof postEvent.changed, PostView, PostView> = {
  ...withPost,
  name: postEvent.changed,
  summary: 'A visible post changed',
  description: "Its text, or its owner's name.",
  supersedes: 'previous',
};

export const postDeleted: EventType<typeof postEvent.removed, Owned, RemovedPost> = {
  ...ofPost,
  name: postEvent.removed,
  summary: 'A post is no longer visible',
  description: 'Deleted, or withdrawn to a draft.',
  schema: removedPost,
  payload: ({ id }) => ({ id }),
  supersedes: 'all',
  redaction: [],
};

export const postEvents = [postCreated, postUpdated, postDeleted] as const;
