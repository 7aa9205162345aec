import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { bounded, type Check, type Finding, MOST_FOUND } from '../database/check.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { roleChanged, type RoleNews } from './events.ts';

/** Users whom the stream takes for moderators and are none, or who are and it does not. */
async function findWrongModerators(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: number; moderates: boolean }>(
    `with waiting as (
       select distinct on (1) (o.relation ->> 'user_id')::bigint as id, (o.relation ->> 'added')::boolean as added
       from event_outbox o where o.relation ->> 'kind' = 'moderate' order by 1, o.id desc
     ), kept as (
       select u.id from users u where u.role <> 'user' and u.deleted_at is null
     ), told as (
       select s.user_id as id from stream_relations s
       where s.kind = 'moderate' and not exists (select from waiting w where w.id = s.user_id)
       union all
       select w.id from waiting w where w.added
     )
     select coalesce(k.id, t.id) as id, k.id is not null as moderates
     from kept k full join told t on t.id = k.id
     -- Of an account that is being deleted it is told when its relations are.
     where (k.id is null or t.id is null) and not exists (select from account_tasks a where a.user_id = t.id and a.kind = 'delete')
     order by 1 limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ id, moderates }) => ({
    what: moderates
      ? `User ${id} moderates, and the stream does not know it.`
      : `The stream takes user ${id} for a moderator.`,
    repair: (tx) => tellAnew(tx, id),
  }));
}

/** Tells a role as it is: what the stream goes by follows from what is told. */
async function tellAnew(tx: Transaction, userId: number): Promise<void> {
  const [user] = await sequelizeOf(tx).query<{ role: RoleNews['role'] }>(
    'select role from users where id = $1 and deleted_at is null for no key update',
    { type: QueryTypes.SELECT, transaction: tx, bind: [userId] },
  );
  const role = user?.role ?? 'user';
  await append(tx, roleChanged, { userId, role, before: role === 'user' ? 'admin' : 'user' });
}

export const moderationChecks: readonly Check[] = [
  { what: 'moderation', find: findWrongModerators, folds: ['role'] },
];
