import type pg from 'pg';
import type { Transaction } from 'sequelize';
import { bounded, type Check, type Finding, MOST_FOUND } from '../database/check.ts';
import { select } from '../database/select.ts';
import { notificationEvent } from './event-names.ts';

/**
 * Notifications of what nobody sees, and those that the log tells otherwise. Those whose events have been pruned are
 * known by the table alone.
 */
async function findWrongNotifications(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: number; user_id: number; fault: string }>(
    `with told as (
       select distinct on (f.entity_id) f.entity_id as id, f.reader, f.name = $2 as gone
       from (
         select entity_id, substring(audience from 6)::bigint as reader, name, 0 as waiting, seq as place
         from event_log where entity_type = 'notification'
         union all
         select entity_id, substring(audience from 6)::bigint, name, 1, id
         from event_outbox where entity_type = 'notification'
       ) f
       order by f.entity_id, f.waiting desc, f.place desc
     ), kept as (
       select n.id, n.user_id,
         case
           when n.kind <> 'moderation' and n.post_id is not null and (p.id is null or not p.published or not coalesce(r.published, true))
             then 'is of a post that nobody sees'
           when u.id is null then 'is of an account that is gone'
           -- That of an account which is being deleted goes with it, in pieces.
           when n.kind = 'follow' and u.deleted_at is null and not exists (
             select from relations f where f.user_id = n.actor_id and f.kind = 'follow' and f.target_id = n.user_id)
             then 'is of a follow that has ended'
           when n.actor_id is not null and hides_acts_of(n.user_id, n.actor_id) then 'is of somebody who is hidden'
         end as fault
       from shown_notifications n
       left join posts p on p.id = n.post_id left join posts r on r.id = p.root_id
       left join users u on u.id = coalesce(n.actor_id, n.user_id)
     )
     select coalesce(k.id, t.id) as id, coalesce(k.user_id, t.reader) as user_id,
       coalesce(k.fault, case when k.id is null then 'is told and is not there' else 'is there and told as removed' end)
         as fault
     from kept k full join told t on t.id = k.id
     where k.fault is not null or k.id is null and not t.gone and not exists (select from notifications n where n.id = t.id)
         and exists (select from users u where u.id = t.reader and u.deleted_at is null)
       or k.id is not null and t.gone
     order by 1 limit $1`,
    [MOST_FOUND + 1, notificationEvent.removed],
  );
  return bounded(rows, ({ id, user_id, fault }) => ({
    what: `Notification ${id} of user ${user_id} ${fault}.`,
    repair: (tx) => tellAnew(tx, user_id, id, fault === 'is there and told as removed'),
  }));
}

/** Takes one away, whether it is there or only told, or tells one that is there. */
async function tellAnew(tx: Transaction, userId: number, id: number, isThere: boolean): Promise<void> {
  await select(tx, 'select lock_notifications(array[$1::bigint])', userId);
  if (isThere) await select(tx, `select tell_notifications(array[$1::bigint], '{}', '{}')`, id);
  else {
    await select(tx, 'delete from notifications where id = $1', id);
    await select(tx, `select tell_notifications('{}', array[$1::bigint], array[$2::bigint])`, id, userId);
  }
}

/** Users who were last told another number of unread notifications than their lists show. */
async function findWrongCounts(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ user_id: number; told: number; unread: number }>(
    `with told as (
       select distinct on (f.entity_id) f.entity_id as user_id, (f.data ->> 'unread')::integer as unread
       from (
         select entity_id, data, 0 as waiting, seq as place from event_log where name = $2
         union all
         select entity_id, data, 1, id from event_outbox where name = $2
       ) f
       order by f.entity_id, f.waiting desc, f.place desc
     )
     select t.user_id, t.unread as told, unread_notifications(t.user_id) as unread from told t
     where t.unread <> unread_notifications(t.user_id)
       and exists (select from users u where u.id = t.user_id and u.deleted_at is null)
       and not exists (
         select from notifications n join notification_removals r on r.thread_id = n.thread_id where n.user_id = t.user_id)
     order by t.user_id limit $1`,
    [MOST_FOUND + 1, notificationEvent.state],
  );
  return bounded(rows, ({ user_id, told, unread }) => ({
    what: `User ${user_id} has ${unread} unread notifications, and was told ${told}.`,
    repair: (tx) => tellState(tx, user_id),
  }));
}

async function tellState(tx: Transaction, userId: number): Promise<void> {
  await select(tx, 'select tell_notification_state(array[$1::bigint])', userId);
}

/** Posts whose votes are otherwise than their owners were told, and that nothing is to be told of. */
async function findWrongVotes(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ post_id: number; people: number; voters: number }>(
    `select n.post_id, n.people, c.voters
     from notifications n
     cross join lateral (
       select count(*)::integer as voters from votes v
       where v.post_id = n.post_id and v.user_id <> n.user_id and not hides_acts_of(n.user_id, v.user_id)
     ) c
     where n.kind = 'votes' and n.people <> c.voters
       and not exists (select from vote_notices w where w.post_id = n.post_id and w.pending)
     order by n.post_id limit $1`,
    [MOST_FOUND + 1],
  );
  return bounded(rows, ({ post_id, people, voters }) => ({
    what: `Others voted ${voters} times for post ${post_id}, and its owner was told ${people}.`,
    repair: async (tx) => {
      await select(
        tx,
        `insert into vote_notices (post_id) values ($1)
         on conflict (post_id) do update set pending = true, told_at = excluded.told_at`,
        post_id,
      );
    },
  }));
}

async function findAll(client: pg.ClientBase): Promise<Finding[]> {
  return [
    ...(await findWrongNotifications(client)),
    ...(await findWrongCounts(client)),
    ...(await findWrongVotes(client)),
  ];
}

export const notificationChecks: readonly Check[] = [
  { what: 'notifications', find: findAll, folds: ['notification', 'notifications'] },
];
