import type pg from 'pg';
import type { PostView } from '../../server/contract.ts';
import { postCreated } from '../../server/posts/events.ts';
import { rowOf } from '../../server/topics/event-type.ts';
import { call } from '../rest.ts';

const TITLE = 'A title of the usual length';
const CONTENT = 'Some sentences that somebody wrote in a minute. '.repeat(3);

/** A post as the feed carries it, of a usual length. */
export function postText(id: number, authorId = 1): string {
  const now = new Date().toISOString();
  return JSON.stringify({
    id,
    title: TITLE,
    content: CONTENT,
    published: true,
    created_at: now,
    updated_at: now,
    version: 1,
    owner_id: authorId,
    owner: { id: authorId, username: 'somebody' },
    votes: 0,
    rev: 0,
  });
}

/** An event as a write on another node leaves it: the sequencer finds it on its own clock. */
export async function appendEvent(database: pg.Client, number: number, authorId = 1): Promise<void> {
  await appendEvents(database, number, [authorId]);
}

/** Events of these authors in one transaction, in this order. */
export async function appendEvents(
  database: pg.Client,
  number: number,
  authorIds: readonly number[],
): Promise<void> {
  const rows = authorIds.map((authorId, at) =>
    rowOf(postCreated, JSON.parse(postText(1_000_000 + number + at, authorId)) as PostView),
  );
  await database.query('select append_events($1::json)', [JSON.stringify(rows)]);
}

export async function writePost(url: string, token: string): Promise<void> {
  await call(url, 'POST', '/posts', { token, body: { title: TITLE, content: CONTENT } });
}
