import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { EntityFold, LastTold } from '../topics/entity-fold.ts';
import type { DeclaredEvent } from '../topics/event-type.ts';
import { bounded, type Finding, MOST_FOUND } from '../database/check.ts';

/** Events of the log that are folded at once, if the numbers of their entities are spread evenly. */
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

/**
 * Folds the log and compares the result with the tables: the last event of an entity must match its row. Entities whose
 * events have all been pruned are skipped, as are those whose container was erased since: they went, and perhaps came
 * back, with it. One range of entities after the other, so that it takes little memory and disk whatever the log has.
 * @param events what some capability declares, of this kind of thing or not
 * @param slice how many events a range is to have
 */
export async function findFoldMismatches(
  client: pg.ClientBase,
  fold: EntityFold,
  events: readonly DeclaredEvent[],
  slice = SLICE,
): Promise<Finding[]> {
  const { entityType, noun, absent } = fold;
  const { rows: spans } = await client.query<{ events: number; last: number | null; since: string }>(
    `select seq - floor as events, (select max(entity_id) from event_log) as last,
       case when floor = 0 then '-infinity' else (select min(created_at)::text from event_log) end as since
     from feed_head`,
  );
  const { events: many = 0, last, since = null } = spans[0] ?? {};
  const slices = 1 + Math.floor(many / slice);
  const width = Math.ceil((last ?? 0) / slices);
  const found: Mismatch[] = [];
  for (let at = 0; at < slices && found.length <= MOST_FOUND; at += 1) {
    const from = at === 0 ? -1 : at * width;
    const to = at === slices - 1 ? Number.MAX_SAFE_INTEGER : (at + 1) * width;
    const which = { from, to, since, most: MOST_FOUND + 1 - found.length };
    found.push(...(await findMismatches(client, fold, events, which)));
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
 * Of the entities whose ids are beyond `from` and not beyond `to`, so many at most.
 * @param which `since`: when the log begins, as PostgreSQL writes it; null if it is empty
 */
async function findMismatches(
  client: pg.ClientBase,
  { entityType, fields: told, visible, unfinished }: EntityFold,
  events: readonly DeclaredEvent[],
  { from, to, since, most }: { from: number; to: number; since: string | null; most: number },
): Promise<Mismatch[]> {
  const gone = events.filter((event) => event.entityType === entityType && event.supersedes === 'all');
  const paths = Object.keys(told).map((field) => field.split('.'));
  const fields = paths.map((_, at) => ({
    told: `t.data #>> $${at + 7}`,
    is: `v.state #>> $${at + 7}`,
    name: `$${at + 7 + paths.length}::text`,
  }));
  const { rows } = await client.query<Mismatch>(
    `with told as materialized (
       select distinct on (f.entity_id) f.*, f.name = any($2::text[]) as gone
       from (${facts('entity_id > $4 and entity_id <= $5')}) f
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
    [entityType, gone.map(({ name }) => name), most, from, to, since, ...paths, ...Object.values(told)],
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
