import type pg from 'pg';
import { postDeleted } from '../posts/events.ts';

/** Something that is not as it should be. */
export interface Finding {
  /** One sentence. */
  what: string;
  /** What would put it right; absent where only a person can. */
  repair?: Repair;
}

/** A post or a tally whose rows are to be held against its events, and told anew; or the last number that the log lacks. */
export type Repair = { kind: 'tally' | 'event'; postId: number } | { kind: 'floor'; seq: number };

/** How many holes are told one by one. */
const TOLD = 20;
/** How many posts one look finds fault with: an import may have left millions. */
export const MOST_FOUND = 1000;

/** The first findings, and that there are more, of rows of which one more than those was asked for. */
function bounded<Row>(rows: readonly Row[], tell: (row: Row) => Finding): Finding[] {
  const findings = rows.slice(0, MOST_FOUND).map(tell);
  if (rows.length > MOST_FOUND)
    findings.push({ what: `There are more than these ${MOST_FOUND}. Put them right, and look again.` });
  return findings;
}

/** Whether the log is without a hole, from its floor to its head. The last holes are told, newest first. */
export async function findHoles(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{
    seq: number;
    floor: number;
    first: number | null;
    last: number | null;
    count: number;
  }>(
    `select h.seq, h.floor, (select min(seq) from event_log) as first, (select max(seq) from event_log) as last,
            (select count(*) from event_log) as count
     from feed_head h`,
  );
  const head = rows[0];
  if (!head) return [{ what: 'feed_head has no row: the log has lost its head.' }];
  const expected = head.seq - head.floor;
  if (
    head.count === expected &&
    (expected === 0 || (head.first === head.floor + 1 && head.last === head.seq))
  )
    return [];
  const { rows: holes } = await client.query<{ after: number; before: number }>(
    `select seq as after, next as before from (
       select seq, lead(seq, 1, $2 + 1) over (order by seq) as next
       from (select $1::bigint as seq union all select seq from event_log where seq > $1) kept
     ) pairs where next > seq + 1 order by seq desc limit $3`,
    [head.floor, head.seq, TOLD],
  );
  const [last] = holes;
  return [
    {
      ...(last && { repair: { kind: 'floor', seq: last.before - 1 } as const }),
      what: `The log should hold ${expected} events, ${head.floor + 1} to ${head.seq}, and holds ${head.count}, ${head.first ?? '–'} to ${head.last ?? '–'}.`,
    },
    ...holes.map(({ after, before }) => ({
      what: `The log has a hole between ${after} and ${before}.`,
    })),
  ];
}

/** Whether something waits for its number for longer than it should. */
export async function findStuck(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ count: number; seconds: number }>(
    `select count(*) as count, extract(epoch from now() - min(created_at))::integer as seconds
     from event_outbox where created_at < now() - interval '10 seconds'`,
  );
  const { count = 0, seconds = 0 } = rows[0] ?? {};
  return count === 0
    ? []
    : [{ what: `${count} events wait for their number, the oldest for ${seconds} s: no node is numbering.` }];
}

/** Whether an account that was renamed or deleted waits for the rest of its posts for longer than it should. */
export async function findStuckAccounts(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: number; kind: string; seconds: number }>(
    `select user_id as id, kind, extract(epoch from now() - worked_at)::integer as seconds
     from account_tasks where worked_at < now() - interval '1 minute' order by worked_at limit ${TOLD}`,
  );
  return rows.map(({ id, kind, seconds }) => ({
    what: `Account ${id} is being ${kind === 'rename' ? 'renamed' : 'deleted'}, and no node has gone on with it for ${seconds} s.`,
  }));
}

/** Whether each tally equals its votes. */
export async function findWrongTallies(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: number; told: number | null; counted: number }>(
    `select p.id, t.votes as told, coalesce(v.counted, 0) as counted
     from posts p
     left join post_tallies t on t.post_id = p.id
     left join (select post_id, count(*) as counted from votes group by post_id) v on v.post_id = p.id
     where t.votes is distinct from coalesce(v.counted, 0)
     order by p.id limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ id, told, counted }) => ({
    what: `Post ${id} has ${counted} ${counted === 1 ? 'vote' : 'votes'}, and its tally ${told === null ? 'is missing' : `says ${told}`}.`,
    repair: { kind: 'tally', postId: id },
  }));
}

/**
 * Folds the log, with what still waits to be numbered behind it, and holds the result against the tables: the last word
 * on a post must be what the post is. Posts whose events have been pruned have no word left and are passed over.
 */
const foldMismatches = `
  with told as (
    select distinct on (post_id) post_id, name, data
    from (
      select entity_id as post_id, name, data, 0 as waiting, seq as place from event_log where entity_type = '${postDeleted.entityType}'
      union all
      select entity_id, name, data, 1, id from event_outbox where entity_type = '${postDeleted.entityType}'
    ) facts
    order by post_id, waiting desc, place desc
  ), visible as (
    select p.id, p.title, p.content, p.version, p.listed_at, u.username
    from posts p join users u on u.id = p.owner_id where p.published
  ), unfinished as (
    -- Their account is being renamed or deleted in pieces, and these posts' turn is still to come.
    select p.id from account_tasks a join posts p on p.owner_id = a.user_id
  )
  select coalesce(v.id, t.post_id) as id,
    case
      when v.id is null then 'the log says it is there, and it is gone or a draft'
      when t.post_id is null then 'the log has never told it'
      when t.name = '${postDeleted.name}' then 'the log says it is gone, and it is there'
      else 'the log tells it otherwise than it is: its ' || concat_ws(', ',
        case when t.data ->> 'title' is distinct from v.title then 'title' end,
        case when t.data ->> 'content' is distinct from v.content then 'content' end,
        case when (t.data ->> 'version')::integer is distinct from v.version then 'version' end,
        case when t.data -> 'owner' ->> 'username' is distinct from v.username then 'owner''s name' end)
    end as fault
  from visible v full join told t on t.post_id = v.id
  where coalesce(v.id, t.post_id) not in (select id from unfinished) and case
    when v.id is null then t.name <> '${postDeleted.name}'
    when t.post_id is null then
      (select floor = 0 from feed_head) or v.listed_at > (select min(created_at) from event_log)
    when t.name = '${postDeleted.name}' then true
    else (t.data ->> 'title', t.data ->> 'content', (t.data ->> 'version')::integer, t.data -> 'owner' ->> 'username')
      is distinct from (v.title, v.content, v.version, v.username)
  end`;

export async function findFoldMismatches(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: number; fault: string }>(
    `${foldMismatches} order by 1 limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ id, fault }) => ({
    what: `Post ${id}: ${fault}.`,
    repair: { kind: 'event', postId: id },
  }));
}
