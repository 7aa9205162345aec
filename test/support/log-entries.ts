import type { LogEntry } from '../../server/log/reader.ts';

/** An event of a post as the log has it. */
export function postEntry(
  seq: number,
  {
    name = 'post:created',
    postId = seq,
    json = `{"id":${postId}}`,
    at = 0,
    topics = ['feed', 'author:1'],
  }: PostEvent = {},
): LogEntry {
  return {
    seq,
    name,
    entityType: 'post',
    entityId: postId,
    audience: 'public',
    topics,
    redaction: name === 'post:deleted' ? [] : ['title', 'content', 'owner.username'],
    authorId: 1,
    containerType: null,
    containerId: null,
    erasesContainer: false,
    departure: null,
    relation: null,
    json,
    at,
  };
}

export interface PostEvent {
  name?: string;
  postId?: number;
  /** Its payload. */
  json?: string;
  /** Milliseconds since 1970. */
  at?: number;
  topics?: readonly string[];
}
