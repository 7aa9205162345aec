import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import type { EntityFold, LastTold } from '../topics/entity-fold.ts';
import type { DeclaredEvent } from '../topics/event-type.ts';
import { bounded, type Finding, MOST_FOUND } from '../database/check.ts';

/** The events of one kind of thing, with what still waits to be numbered behind them. `$1` is the kind. */
const facts = `
  select entity_id, name, data, 0 as waiting, seq as place, container_type, container_id, erases_container
  from event_log where entity_type = $1
  union all
  select entity_id, name, data, 1, id, container_type, container_id, erases_container
  from event_outbox where entity_type = $1`;

/**
 * Folds the log and compares the result with the tables: the last event of an entity must match its row. Entities whose
 * events have all been pruned are skipped, as are those whose container was erased since: they went, and perhaps came
 * back, with it.
 * @param events what some capability declares, of this kind of thing or not
 */
export async function findFoldMismatches(
  client: pg.ClientBase,
  fold: EntityFold,
  events: readonly DeclaredEvent[],
): Promise<Finding[]> {
  const { entityType, noun, absent, visible, unfinished } = fold;
  const gone = events.filter((event) => event.entityType === entityType && event.supersedes === 'all');
  const paths = Object.keys(fold.fields).map((field) => field.split('.'));
  const fields = paths.map((_, at) => ({
    told: `t.data #>> $${at + 4}`,
    is: `v.state #>> $${at + 4}`,
    name: `$${at + 4 + paths.length}::text`,
  }));
  const { rows } = await client.query<{ id: number; fault: string }>(
    `with facts as materialized (${facts}
     ), erasures as materialized (
       select container_type, container_id, waiting, place from facts where erases_container
     ), told as (
       select distinct on (f.entity_id) f.entity_id, f.name = any($2::text[]) as gone, f.data,
         exists (
           select from erasures e
           where e.container_type = f.container_type and e.container_id = f.container_id
             and (e.waiting, e.place) > (f.waiting, f.place)
         ) as erased
       from facts f order by f.entity_id, f.waiting desc, f.place desc
     ), visible as (${visible}
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
     where coalesce(v.id, t.entity_id) not in (select id from unfinished) and not coalesce(t.erased, false) and case
       when v.id is null then not t.gone
       when t.entity_id is null then
         (select floor = 0 from feed_head) or v.since > (select min(created_at) from event_log)
       when t.gone then true
       else ${fields.map(({ told, is }) => `${told} is distinct from ${is}`).join(' or ')}
     end
     order by 1 limit $3`,
    [entityType, gone.map(({ name }) => name), MOST_FOUND + 1, ...paths, ...Object.values(fold.fields)],
  );
  const sentences: Record<string, string> = {
    absent: `the log says it exists, but it is ${absent}`,
    untold: 'the log has no event for it',
    gone: 'the log says it was removed, but it exists',
  };
  return bounded(rows, ({ id, fault }) => ({
    what: `${noun} ${id}: ${sentences[fault] ?? `the log does not match the database: its ${fault}`}.`,
    repair: (tx) => fold.tellAnew(tx, id, () => lastTold(tx, entityType, id)),
  }));
}

async function lastTold(tx: Transaction, entityType: string, id: number): Promise<LastTold | undefined> {
  const sequelize = sequelizeOf(tx);
  const [told] = await sequelize.query<LastTold>(
    `select name, data from (${facts}) facts where entity_id = $2 order by waiting desc, place desc limit 1`,
    { bind: [entityType, id], type: QueryTypes.SELECT, transaction: tx },
  );
  return told;
}
