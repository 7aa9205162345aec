import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { EntityFold, LastTold } from '../topics/entity-fold.ts';
import type { DeclaredEvent } from '../topics/event-type.ts';
import { bounded, type Finding, MOST_FOUND } from '../database/check.ts';

/** Events of the log, and things that can be seen, that are compared at once. */
const SLICE = 100_000;

/** The events of one kind of thing, with what still waits to be numbered behind them. `$1` is the kind. */
const facts = (which: string) => `
  select entity_id, name, data, 0 as waiting, seq as place, container_type, container_id
  from event_log where entity_type = $1 and ${which}
  union all
  select entity_id, name, data, 1, id, container_type, container_id
  from event_outbox where entity_type = $1 and ${which}`;

/** SQL: the last event, in one of the two tables, that erases a container `c`. Once for each: a thread has many events. */
const lastErasure = (table: string, place: string) => `(
  select max(e.${place}) from ${table} e
  where e.entity_type = $1 and e.container_type = c.container_type and e.container_id = c.container_id and e.erases_container)`;

/** A finding's row. */
interface Mismatch {
  id: number;
  fault: string;
}

/** Entities whose ids are beyond `from` and not beyond `to`; null: all that are left. */
interface Range {
  from: number;
  to: number | null;
  /** The highest id in the log; null if it has none. */
  last: number | null;
  /** When the log begins, as PostgreSQL writes it; null if it is empty. */
  since: string | null;
  /** How many mismatches are wanted. */
  most: number;
}

/**
 * Folds the log and compares the result with the tables: the last event of an entity must match its row. Entities whose
 * events have all been pruned are skipped, as are those whose container was erased since: they went, and perhaps came
 * back, with it. One range of entities after the other, so that it takes little memory and disk whatever the log has.
 * @param events what some capability declares, of this kind of thing or not
 * @param slice how many events a range has at most, beside those of its last entity, and how many entities that are seen
 */
export async function findFoldMismatches(
  client: pg.ClientBase,
  fold: EntityFold,
  events: readonly DeclaredEvent[],
  slice = SLICE,
): Promise<Finding[]> {
  const { entityType, noun, absent } = fold;
  const { rows: logs } = await client.query<{ since: string | null; last: number | null }>(
    `select case when h.floor = 0 then '-infinity' else l.since::text end as since,
       greatest(l.last, (select max(entity_id) from event_outbox where entity_type = $1)) as last
     from feed_head h
     -- Not by the index: beyond the last entity of this kind may be millions of others.
     cross join (select min(created_at) as since, max(entity_id) filter (where entity_type = $1) as last from event_log) l`,
    [entityType],
  );
  const { since = null, last = null } = logs[0] ?? {};
  const found: Mismatch[] = [];
  for (let from: number | null = -1; from !== null && found.length <= MOST_FOUND;) {
    const to = await endOfRange(client, fold, { from, last, slice });
    const which = { from, to, last, since, most: MOST_FOUND + 1 - found.length };
    found.push(...(await findMismatches(client, fold, events, which)));
    from = to;
  }
  const sentences: Record<string, string> = {
    absent: `the log says it exists, but it is ${absent}`,
    untold: 'the log has no event for it',
    gone: 'the log says it was removed, but it exists',
  };
  return bounded(found, ({ id, fault }) => ({
    what: `${noun} ${id}: ${sentences[fault] ?? `the log does not match the database: its ${fault}`}.`,
    repair: (tx) => fold.tellAnew(tx, id, () => lastTold(tx, entityType, id)),
  }));
}

/**
 * Where the range ends that begins behind `from`: as the ids lie in the log and in the tables, since those of one kind
 * may be few and far apart, or all behind a number of millions.
 * @returns null if everything that is left is one range
 */
async function endOfRange(
  client: pg.ClientBase,
  { visible }: EntityFold,
  { from, last, slice }: { from: number; last: number | null; slice: number },
): Promise<number | null> {
  const { rows } = await client.query<{ to: number | null }>(
    `select least(
       (select entity_id from event_log where entity_id > $1 and entity_id <= $2 order by entity_id offset $3 limit 1),
       (select seen.id from (${visible}) seen where seen.id > $1 order by seen.id offset $3 limit 1)) as to`,
    [from, last, slice - 1],
  );
  return rows[0]?.to ?? null;
}

async function findMismatches(
  client: pg.ClientBase,
  { entityType, fields: told, visible, unfinished }: EntityFold,
  events: readonly DeclaredEvent[],
  { from, to, last, since, most }: Range,
): Promise<Mismatch[]> {
  const gone = events.filter((event) => event.entityType === entityType && event.supersedes === 'all');
  const paths = Object.keys(told).map((field) => field.split('.'));
  const fields = paths.map((_, at) => ({
    told: `t.data #>> $${at + 8}`,
    is: `v.state #>> $${at + 8}`,
    name: `$${at + 8 + paths.length}::text`,
  }));
  const { rows } = await client.query<Mismatch>(
    `with told as materialized (
       select distinct on (f.entity_id) f.*, f.name = any($2::text[]) as gone
       from (${facts('entity_id > $4 and entity_id <= least($5::bigint, $7::bigint)')}) f
       order by f.entity_id, f.waiting desc, f.place desc
     ), erasures as materialized (
       select c.*, ${lastErasure('event_log', 'seq')} as seq, ${lastErasure('event_outbox', 'id')} as outbox_id
       from (select distinct container_type, container_id from told where container_id is not null) c
     ), visible as (
       select seen.* from (${visible}) seen where seen.id > $4 and seen.id <= $5
     ), unfinished as (${unfinished}
     )
     select coalesce(v.id, t.entity_id) as id,
       case
         when v.id is null then 'absent'
         when t.entity_id is null then 'untold'
         when t.gone then 'gone'
         else concat_ws(', ', ${fields.map(({ told, is, name }) => `case when ${told} is distinct from ${is} then ${name} end`).join(', ')})
       end as fault
     from visible v full join told t on t.entity_id = v.id
     left join erasures e on e.container_type = t.container_type and e.container_id = t.container_id
     where coalesce(v.id, t.entity_id) not in (select id from unfinished)
       and not coalesce(case when t.waiting = 0 then e.outbox_id is not null or e.seq > t.place else e.outbox_id > t.place end, false)
       and case
       when v.id is null then not t.gone
       when t.entity_id is null then v.since > $6::timestamptz
       when t.gone then true
       else ${fields.map(({ told, is }) => `${told} is distinct from ${is}`).join(' or ')}
     end
     order by 1 limit $3`,
    [
      entityType,
      gone.map(({ name }) => name),
      most,
      from,
      to ?? Number.MAX_SAFE_INTEGER,
      since,
      last,
      ...paths,
      ...Object.values(told),
    ],
  );
  return rows;
}

async function lastTold(tx: Transaction, entityType: string, id: number): Promise<LastTold | undefined> {
  const sequelize = sequelizeOf(tx);
  const [told] = await sequelize.query<LastTold>(
    `select name, data from (${facts('entity_id = $2')}) facts order by waiting desc, place desc limit 1`,
    { bind: [entityType, id], type: QueryTypes.SELECT, transaction: tx },
  );
  return told;
}
