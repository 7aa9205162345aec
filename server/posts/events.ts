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
  /** Topics of these replies that it has none of itself, in pieces: see the SQL function `thread_topics`. */
  threadTopics?: readonly (readonly string[])[];
  by?: 'moderator';
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
    'Deleted, withdrawn to a draft, or removed by a moderator. All replies of its thread go with a post that is no reply: this is told once, also over the topics of these replies.',
  schema: removedPost,
  payload: ({ id, root_id = null, by }) => ({ id, root_id, ...(by && { by }) }),
  container: ({ id, root_id, hadReplies }) =>
    root_id ? threadOf(root_id) : hadReplies ? threadOf(id) : undefined,
  erasesContainer: ({ root_id, hadReplies }) => !root_id && hadReplies === true,
  supersedes: 'all',
  redaction: [],
};

/**
 * The same once more, for those who know of the thread by other topics than those of its first post, where these are too
 * many for one event. It is told of others' replies, so nobody is its author.
 */
export const threadDeleted = ((): EventType<typeof postEvent.removed, Removed, RemovedPost> => {
  const { author: _author, ...anonymous } = postDeleted;
  return { ...anonymous, topics: () => [] };
})();

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
  const departure = removedFrom(topics, after);
  // Its thread stays, and replies of it may be under these topics still: nothing is said of it.
  return after.root_id ? departure : { ...departure, data: { id: after.id } };
}

/** What those receive who subscribe only to these topics, that a post is gone. */
export function removedFrom(topics: readonly string[], post: Removed): Departure {
  return { topics, name: postEvent.removed, data: postDeleted.payload(post) };
}
