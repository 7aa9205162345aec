-- version 2 sha256:da67726e1d0e83b6
-- Tells what has changed in the notifications of users whose states are locked: those that were added or renewed, those
-- that were taken away, of whom, and how many each user has not read. Of each user the newest ones are kept: others go,
-- and are told too.
create or replace function tell_notifications(added bigint[], ended bigint[], ended_of bigint[]) returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  most_kept constant integer := 1000;
  gone_ids bigint[];
  gone_of bigint[];
begin
  with old as (
    delete from notifications n using (
      select o.id
      from (select distinct n.user_id from notifications n where n.id = any (added)) u
      cross join lateral (
        select k.id from notifications k where k.user_id = u.user_id order by k.rev desc, k.id desc offset most_kept
      ) o
    ) o
    where n.id = o.id
    returning n.id, n.user_id
  )
  select coalesce(array_agg(o.id), '{}') || ended, coalesce(array_agg(o.user_id), '{}') || ended_of
  into gone_ids, gone_of from old o;
  if added = '{}' and gone_ids = '{}' then
    return;
  end if;

  perform append_events((
    select json_agg(json_build_object('name', e.name, 'entity_type', 'notification', 'entity_id', e.id,
      'audience', 'user:' || e.user_id, 'topics', array['user:' || e.user_id], 'supersedes', e.supersedes,
      'redaction', e.redaction, 'data', e.data, 'author_id', e.actor_id,
      'container_type', case when e.account_id is not null then 'account' end, 'container_id', e.account_id)
      order by e.user_id, e.place, e.id)
    from (
      select g.user_id, 0 as place, g.id, 'notification:removed' as name, 'all' as supersedes, '{}'::text[] as redaction,
        json_build_object('id', g.id) as data, null::bigint as actor_id, null::bigint as account_id
      from unnest(gone_ids, gone_of) as g (id, user_id)
      union all
      select n.user_id, 1, n.id, 'notification:added', 'nothing',
        case n.kind when 'moderation' then '{reason}'::text[] else '{actor.username}' end,
        notification_json(n.id, n.kind, n.actor_id, u.username, n.post_id, n.thread_id, n.people, n.rev, n.happened_at,
          n.read_at, n.act, n.reason),
        -- What moderators told is about the account of its reader.
        n.actor_id, case n.kind when 'moderation' then n.user_id else n.actor_id end
      from notifications n left join users u on u.id = n.actor_id where n.id = any (added)
    ) e
  ));
  perform tell_notification_state(gone_of || array(
    select distinct n.user_id from notifications n where n.id = any (added)));
end
$$;
