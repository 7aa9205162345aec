-- version 2 sha256:2df4bf2038df9c38
-- Locks the states of all whose notifications the removal or the return of these posts changes, and of some others: the
-- service notifies these behind it. Tallies are locked before states, so the posts' come first. The posts are locked:
-- no notification of one is added meanwhile. Of a thread with very many notifications, those who have them are left
-- out, as `forget_notifications` leaves these to others.
create or replace function lock_notifications_of_posts(ids bigint[], others bigint[]) returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  many constant integer := 1000;
  gone bigint[];
begin
  perform 1 from post_tallies t
  where t.post_id = any (ids || array(
    select a.id from posts p cross join lateral unnest(p.ancestors) as a (id) where p.id = any (ids)))
  order by t.post_id for update;
  gone := array(
    select n.id from unnest(ids) as t (id) cross join lateral (
      select n.id from notifications n
      where n.thread_id = t.id and n.kind <> 'moderation' order by n.id limit many + 1
    ) n limit many + 1);
  if cardinality(gone) > many then
    gone := '{}';
  end if;
  perform lock_notifications(array(
    select unnest(others)
    union
    select n.user_id from notifications n where n.id = any (gone)
    union
    select n.user_id from notifications n where n.post_id = any (ids) and n.kind <> 'moderation'
    union
    select q.owner_id from posts p join posts q on q.id = p.parent_id where p.id = any (ids) and q.owner_id is not null
    union
    select u.id from removed_posts k cross join lateral jsonb_array_elements(k.mentions) m
    join users u on u.id = (m ->> 'id')::bigint and u.deleted_at is null
    where k.post_id = any (ids)));
end
$$;
