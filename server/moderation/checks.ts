import type pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { bounded, type Check, type Finding, MOST_FOUND } from '../database/check.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { append } from '../log/append.ts';
import { moderationEvent } from './event-names.ts';
import { reportAdded, reportResolved, roleChanged, type RoleNews } from './events.ts';

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

interface Case {
  id: number;
  post_id: number | null;
  user_id: number;
  resolution: string | null;
}

/** Cases that moderators were last told otherwise. Those whose events have been pruned are known by the table alone. */
async function findWrongCases(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<Case>(
    `with told as (
       select distinct on (f.entity_id) f.entity_id as id, f.name = $2 as resolved
       from (
         select entity_id, name, 0 as waiting, seq as place from event_log where entity_type = 'case'
         union all
         select entity_id, name, 1, id from event_outbox where entity_type = 'case'
       ) f
       order by f.entity_id, f.waiting desc, f.place desc
     )
     select c.id, c.post_id, c.user_id, c.resolution from moderation_cases c join told t on t.id = c.id
     where t.resolved <> (c.resolved_at is not null) order by c.id limit $1`,
    [MOST_FOUND + 1, moderationEvent.resolved],
  );
  return bounded(rows, (one) => ({
    what: `Case ${one.id} is ${one.resolution === null ? 'open, and told as resolved' : 'resolved, and told as open'}.`,
    repair: (tx) => tellCaseAnew(tx, one),
  }));
}

async function tellCaseAnew(tx: Transaction, { id, ...target }: Case): Promise<void> {
  const query = <T extends object>(sql: string) =>
    sequelizeOf(tx).query<T>(sql, { type: QueryTypes.SELECT, transaction: tx, bind: [id] });
  const [found] = await query<Case>('select resolution from moderation_cases where id = $1 for update');
  const reports = await query<{ reason: string }>(
    'select reason from reports where case_id = $1 order by reported_at desc',
  );
  const { post_id, user_id } = target;
  const told = { id, post_id, user_id };
  if (found && found.resolution !== null)
    await append(tx, reportResolved, { ...told, resolution: found.resolution });
  else
    await append(tx, reportAdded, {
      ...told,
      reason: reports[0]?.reason ?? 'other',
      reports: reports.length,
    });
}

/** What moderators alone do, without an entry in the audit log: somebody wrote to the tables. */
async function findUnaudited(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ what: string }>(
    `select 'Post ' || k.post_id || ' is removed' as what from removed_posts k
     where not exists (select from audit_log e where e.post_id = k.post_id and e.action = 'remove')
       and not exists (
         select from audit_log e where e.user_id = k.owner_id and e.post_id is null and e.action = 'remove')
     union all
     select 'User ' || u.id || ' is suspended' from users u
     where u.suspended_until > now() and u.deleted_at is null
       and not exists (select from audit_log e where e.user_id = u.id and e.action = 'suspend')
     order by 1 limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ what }) => ({ what: `${what}, and the audit log does not say by whom.` }));
}

async function findAll(client: pg.ClientBase): Promise<Finding[]> {
  return [
    ...(await findWrongModerators(client)),
    ...(await findWrongCases(client)),
    ...(await findUnaudited(client)),
  ];
}

/** How many are named. */
const TOLD = 20;

/** Removals of all posts of a user that were cut off, as by the end of a process, and left posts that are older. */
async function hintAtRemovals(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ id: number }>(
    `select e.user_id as id from (
       select distinct on (user_id) user_id, happened_at, details from audit_log
       where action = 'remove' and post_id is null and details ? 'complete' order by user_id, id desc
     ) e
     where e.details ->> 'complete' = 'false' and e.happened_at < now() - interval '1 minute'
       and exists (
         select from posts p
         where p.owner_id = e.user_id and p.published and p.deleted_at is null and p.created_at < e.happened_at)
     order by 1 limit $1`,
    [TOLD],
  );
  return rows.length === 0
    ? undefined
    : `The removal of all posts of ${rows.map(({ id }) => `user ${id}`).join(', ')} was cut off. ` +
        'A moderator finishes it with the same action.';
}

export const moderationChecks: readonly Check[] = [
  { what: 'removals', hint: hintAtRemovals },
  { what: 'moderation', find: findAll, folds: ['role', 'case'] },
];
