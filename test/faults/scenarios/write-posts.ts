import type { Cluster } from '../cluster.ts';
import { appendPosts } from '../../support/append-sql.ts';

/**
 * Writes many posts with their tallies and their events in one statement, past the service, which finds the events in the
 * outbox.
 * @param length of each post's content, in characters
 */
export async function writePosts(
  cluster: Cluster,
  ownerId: number,
  count: number,
  length = 1,
): Promise<void> {
  await cluster.query(
    `with post as (
       insert into posts (owner_id, title, content)
       select $1, 'backlog-' || n, repeat('x', $3) from generate_series(1, $2::int) n
       returning id, owner_id, title, content, created_at
     ), tally as (
       insert into post_tallies (post_id, hot) select id, 0 from post
     )
     ${appendPosts(`select 'post:created', id, json_build_object('id', id, 'title', title, 'content', content, 'published', true,
       'created_at', created_at, 'updated_at', created_at, 'version', 1, 'owner_id', owner_id,
       'owner', json_build_object('id', owner_id, 'username', 'listener'), 'votes', 0, 'rev', 0)
     from post order by id`)}`,
    [ownerId, count, length],
  );
}
