import type { FollowChange, RelationRows } from '../topics/relations.ts';
import type { LogSource } from './reader.ts';

/** The relations of many users as the stream has them, with the position of the log in the same snapshot. */
const state = {
  name: 'stream-relations',
  text: `
    select h.seq as head,
      (select json_agg(json_build_object(
         'userId', u.id,
         'follows', case when u.follows then coalesce((
            select json_agg(r.target_id) from stream_relations r where r.user_id = u.id and r.kind = 'follow'), '[]')
            else '[]' end,
         'blocks', coalesce((
            select json_agg(r.target_id) from stream_relations r where r.user_id = u.id and r.kind = 'block'), '[]'),
         'mutes', coalesce((
            select json_agg(r.target_id) from stream_relations r where r.user_id = u.id and r.kind = 'mute'), '[]'),
         'blockedBy', coalesce((
            select json_agg(r.user_id) from stream_relations r where r.target_id = u.id and r.kind = 'block'), '[]'),
         'moderatesSince', (
            select r.since_seq from stream_relations r where r.user_id = u.id and r.kind = 'moderate')
       ) order by u.place)
       from unnest($1::bigint[], $2::boolean[]) with ordinality as u (id, follows, place)) as rows
    from feed_head h`,
};

/** In the order in which the users are given. */
export async function readRelations(
  source: LogSource,
  users: readonly { userId: number; withFollows: boolean }[],
): Promise<{ head: number; rows: readonly RelationRows[] }> {
  const { rows } = await source.query({
    ...state,
    values: [users.map(({ userId }) => userId), users.map(({ withFollows }) => withFollows)],
  });
  const [row] = rows as { head: number; rows: RelationRows[] | null }[];
  if (!row) throw new Error('feed_head has no row');
  return { head: row.head, rows: row.rows ?? [] };
}

const changes = {
  name: 'follow-changes',
  text: `
    select e.seq, (e.relation ->> 'target_id')::bigint as "targetId", (e.relation ->> 'added')::boolean as added
    from event_topics t join event_log e on e.seq = t.seq
    where t.topic = $1 and t.seq > $2 and t.seq <= $3
      and e.relation ->> 'kind' = 'follow' and (e.relation ->> 'user_id')::bigint = $4
    order by e.seq`,
};

/** The changes of whom a user follows, after a position and up to another. */
export async function readFollowChanges(
  source: LogSource,
  userId: number,
  after: number,
  upTo: number,
): Promise<FollowChange[]> {
  const { rows } = await source.query({ ...changes, values: [`user:${userId}`, after, upTo, userId] });
  return rows as FollowChange[];
}
