-- version 3 sha256:1a00b1f73a4094f1
-- Notifies users of acts, each with the user, its group key, kind and actor, or of moderation with what was done and
-- why, and takes notifications away. Tells both.
-- Who has been notified of an act is not notified again, and nobody of what somebody does whom they hide: that is asked
-- under the lock, so a mute sees each notification that was written before it, or is seen. So is the deletion of an
-- account that is notified of moderation: see `forget_notifications_of`.
create or replace function change_notifications(acts json, gone bigint[]) returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  users constant bigint[] := array(
    select a.user_id from json_to_recordset(coalesce(acts, '[]')) as a (user_id bigint)
    union
    select n.user_id from notifications n where n.id = any (gone));
  ended bigint[];
  ended_of bigint[];
  added bigint[];
begin
  if users = '{}' then
    return;
  end if;
  perform lock_notifications(users);
  with ended as (
    delete from notifications n where n.id = any (gone) returning n.id, n.user_id
  )
  select coalesce(array_agg(e.id), '{}'), coalesce(array_agg(e.user_id), '{}') into ended, ended_of from ended e;
  if acts is not null then
    select ended || coalesce(array_agg(h.id), '{}'), ended_of || coalesce(array_agg(h.user_id), '{}')
    into ended, ended_of
    from forget_hidden_notifications(
      array(select a.user_id from json_to_recordset(acts) as a (user_id bigint)),
      array(select a.group_key from json_to_recordset(acts) as a (group_key text))) h;
  end if;
  with added as (
    insert into notifications (user_id, group_key, kind, actor_id, post_id, thread_id, act, reason, rev)
    select a.user_id, a.group_key, a.kind, a.actor_id, a.post_id, a.thread_id, a.act, a.reason, s.rev + 1
    from json_to_recordset(coalesce(acts, '[]'))
      as a (user_id bigint, group_key text, kind text, actor_id bigint, post_id bigint, thread_id bigint, act text,
            reason text)
    join notification_states s on s.user_id = a.user_id
    where not hides_acts_of(a.user_id, a.actor_id)
      and (a.act is null or exists (select from users u where u.id = a.user_id and u.deleted_at is null))
    order by a.post_id, a.user_id
    on conflict (user_id, group_key) do nothing
    returning id
  )
  select coalesce(array_agg(a.id), '{}') into added from added a;
  perform tell_notifications(added, ended, ended_of);
end
$$;
