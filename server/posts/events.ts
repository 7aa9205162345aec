import type { Departure, EventType } from '../topics/event-type.ts';
import { postEvent } from './event-names.ts';
import type { PostView, RemovedPost } from './event-payloads.ts';
import { postView, removedPost } from './schemas.ts';

/** The fields of a post in which somebody's words stand. */
const text = ['title', 'content', 'owner.username', 'tags', 'mentions'];

type Owned = Pick<PostView, 'id' | 'owner_id' | 'root_id' | 'tags'>;

/** The container of all that is told of a thread, but of its first post. */
const threadOf = (id: number) => ({ type: 'thread', id });

const ofPost = {
  entityType: 'post',
  entityId: ({ id }: Owned) => id,
  audience: () => 'public' as const,
  author: ({ owner_id }: Owned) => owner_id,
  container: ({ root_id }: Owned) => (root_id ? threadOf(root_id) : undefined),
  topics: ({ id, owner_id, root_id, tags = [] }: Owned) => [
    ...(root_id ? [] : ['feed']),
    `author:${owner_id}`,
    `thread:${root_id ?? id}`,
    ...tags.map((tag) => `tag:${tag}`),
  ],
};

/** A post that is no longer visible. */
export type Removed = Owned & {
  /** Whether others may have replies of its thread, which go with it. */
  hadReplies?: boolean;
};

const withPost = { ...ofPost, schema: postView, payload: (post: PostView) => post, redaction: text };

export const postCreated: EventType<typeof postEvent.added, PostView, PostView> = {
  ...withPost,
  name: postEvent.added,
  summary: 'A post became visible',
  description:
    'Written as published, or a draft that its owner published. A reply has a `parent_id`. A post with `replies` that comes back has its thread with it: fetch that again.',
  supersedes: 'nothing',
};

export const postUpdated: EventType<typeof postEvent.changed, PostView, PostView> = {
  ...withPost,
  name: postEvent.changed,
  summary: 'A visible post changed',
  description: "Its text, or its owner's name.",
  supersedes: 'previous',
};

export const postDeleted: EventType<typeof postEvent.removed, Removed, RemovedPost> = {
  ...ofPost,
  name: postEvent.removed,
  summary: 'A post is no longer visible',
  description:
    'Deleted, or withdrawn to a draft. All replies of its thread go with a post that is no reply: this is told once.',
  schema: removedPost,
  payload: ({ id, root_id = null }) => ({ id, root_id }),
  container: ({ id, root_id, hadReplies }) =>
    root_id ? threadOf(root_id) : hadReplies ? threadOf(id) : undefined,
  erasesContainer: ({ root_id, hadReplies }) => !root_id && hadReplies === true,
  supersedes: 'all',
  redaction: [],
};

export const postEvents = [postCreated, postUpdated, postDeleted] as const;

/**
 * What those receive of a change who subscribe only to topics that the post leaves with it, as that of a tag which is
 * no longer in its text: that it is gone.
 * @param before as its last event told it
 * @returns undefined if it leaves none
 */
export function departureOf(before: Owned, after: Owned): Departure | undefined {
  const stays = new Set(ofPost.topics(after));
  const topics = ofPost.topics(before).filter((topic) => !stays.has(topic));
  if (topics.length === 0) return undefined;
  return { topics, name: postEvent.removed, data: postDeleted.payload(after) };
}
