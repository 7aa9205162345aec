-- version 2 sha256:b9222cbc3a3fe2c0
-- Tells the owners of posts, whose tallies are locked, how many others voted for each, without those whom the owner
-- hides. The notification is unread again if there are more than before, and gone if there are none.
create or replace function tell_votes(posts bigint[]) returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  told bigint[];
  ended bigint[];
  ended_of bigint[];
  hidden bigint[];
  hidden_of bigint[];
begin
  perform lock_notifications(array(
    select p.owner_id from posts p where p.id = any (posts) and p.owner_id is not null));
  select coalesce(array_agg(h.id), '{}'), coalesce(array_agg(h.user_id), '{}') into hidden, hidden_of
  from forget_hidden_notifications(
    array(select p.owner_id from posts p where p.id = any (posts) order by p.id),
    array(select 'votes:' || p.id from posts p where p.id = any (posts) order by p.id)) h;
  with counted as materialized (
    select p.id as post_id, p.owner_id, coalesce(p.root_id, p.id) as thread_id,
      case when p.published and p.deleted_at is null and coalesce(r.published, true) then t.votes - (
        select count(*) from votes v where v.post_id = p.id and v.user_id in (
          select p.owner_id
          union select h.target_id from relations h where h.user_id = p.owner_id and h.kind in ('block', 'mute')
          union select h.user_id from relations h where h.target_id = p.owner_id and h.kind = 'block')
      ) else 0 end as people
    from posts p join post_tallies t on t.post_id = p.id left join posts r on r.id = p.root_id
    where p.id = any (posts) and p.owner_id is not null
  ), ended as (
    delete from notifications n using counted c
    where c.people = 0 and n.user_id = c.owner_id and n.group_key = 'votes:' || c.post_id
    returning n.id, n.user_id
  ), added as (
    insert into notifications as n (user_id, group_key, kind, post_id, thread_id, people, rev)
    select c.owner_id, 'votes:' || c.post_id, 'votes', c.post_id, c.thread_id, c.people, s.rev + 1
    from counted c join notification_states s on s.user_id = c.owner_id
    where c.people > 0
    order by c.post_id
    on conflict (user_id, group_key) do update
    set people = excluded.people,
      rev = case when excluded.people > n.people then excluded.rev else n.rev end,
      happened_at = case when excluded.people > n.people then excluded.happened_at else n.happened_at end,
      read_at = case when excluded.people > n.people then null else n.read_at end
    where n.people <> excluded.people
    returning id
  ), noted as (
    update vote_notices v set pending = false, told_at = clock_timestamp() where v.post_id = any (posts)
  )
  select array(select a.id from added a), array(select e.id from ended e order by e.id),
    array(select e.user_id from ended e order by e.id)
  into told, ended, ended_of;
  perform tell_notifications(told, hidden || ended, hidden_of || ended_of);
end
$$;
