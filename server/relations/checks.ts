import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { bounded, type Check, type Finding, MOST_FOUND } from '../database/check.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append, appendAll } from '../log/append.ts';
import type { RelationKind } from '../topics/event-type.ts';
import { blockAdded, blockRemoved, followAdded, followRemoved, muteAdded, muteRemoved } from './events.ts';

interface Relation {
  user_id: number;
  kind: RelationKind;
  target_id: number;
}

/** The relations that the events of a table change, with what waits for its number behind what has one. */
const facts = `
  select relation, 0 as waiting, seq as place from event_log where relation ->> 'kind' <> 'moderate'
  union all
  select relation, 1, id from event_outbox where relation ->> 'kind' <> 'moderate'`;

/**
 * Folds the events of relations and compares the result with what users want and with what the stream goes by.
 * Relations whose events have been pruned are known by these two alone.
 */
async function findWrongRelations(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<Relation & { is_there: boolean; told: boolean; in_stream: boolean }>(
    `with told as (
       select distinct on (1, 2, 3) (f.relation ->> 'user_id')::bigint as user_id, f.relation ->> 'kind' as kind,
         (f.relation ->> 'target_id')::bigint as target_id, (f.relation ->> 'added')::boolean as added,
         f.waiting = 1 as waits, f.place
       from (${facts}) f order by 1, 2, 3, f.waiting desc, f.place desc
     ), compared as (
       select user_id, kind, target_id, r.created_at is not null as is_there,
         coalesce(t.added, s.since_seq is not null) as told,
         case when t.waits then t.added when t.added then s.since_seq is not distinct from t.place
              else s.since_seq is not null end as in_stream
       from relations r
       full join (select * from stream_relations where kind <> 'moderate') s using (user_id, kind, target_id)
       full join told t using (user_id, kind, target_id)
     )
     select * from compared where is_there <> told or is_there <> in_stream
     order by user_id, kind, target_id limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ user_id, kind, target_id, is_there, told }) => {
    const said =
      is_there === told
        ? `the stream ${is_there ? 'does not go' : 'still goes'} by it`
        : `the log says it ${told ? 'began, but it is not there' : 'is not there, but it is'}`;
    return {
      what: `The ${kind} of user ${target_id} by user ${user_id}: ${said}.`,
      repair: (tx) => tellAnew(tx, { user_id, kind, target_id }),
    };
  });
}

/** Tells a relation as it is: what the stream goes by follows from what is told. */
async function tellAnew(tx: Transaction, { user_id, kind, target_id }: Relation): Promise<void> {
  const sequelize = sequelizeOf(tx);
  const users = await sequelize.query<{ id: number; username: string }>(
    'select id, username from users where id in ($1, $2) order by id for no key update',
    { bind: [user_id, target_id], type: QueryTypes.SELECT, transaction: tx },
  );
  const [row] = await sequelize.query(
    'select 1 from relations where user_id = $1 and kind = $2 and target_id = $3',
    { bind: [user_id, kind, target_id], type: QueryTypes.SELECT, transaction: tx },
  );
  const added = row !== undefined;
  const named = (id: number) => users.find((user) => user.id === id) ?? { id, username: '' };
  if (kind === 'follow') {
    const both = { follower: named(user_id), followee: named(target_id) };
    await appendAll(tx, added ? followAdded : followRemoved, [
      { ...both, to: 'followee', takesEffect: false },
      { ...both, to: 'follower', takesEffect: true },
    ]);
    return;
  }
  const type = { block: added ? blockAdded : blockRemoved, mute: added ? muteAdded : muteRemoved }[kind];
  await append(tx, type, { userId: user_id, target: named(target_id) });
}

export const relationChecks: readonly Check[] = [
  { what: 'relations', find: findWrongRelations, folds: ['follow', 'block', 'mute'] },
];
