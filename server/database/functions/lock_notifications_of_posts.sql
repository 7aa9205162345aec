-- version 1 sha256:9900ae15fa464c47
-- Locks the states of all whose notifications the removal or the return of these posts changes, and of some others: the
-- service notifies these behind it. Tallies are locked before states, so the posts' come first. The posts are locked:
-- no notification of one is added meanwhile.
create or replace function lock_notifications_of_posts(ids bigint[], others bigint[]) returns void
language plpgsql set search_path from current as $$
begin
  perform 1 from post_tallies t
  where t.post_id = any (ids || array(
    select a.id from posts p cross join lateral unnest(p.ancestors) as a (id) where p.id = any (ids)))
  order by t.post_id for update;
  perform lock_notifications(array(
    select unnest(others)
    union
    select n.user_id from notifications n where n.thread_id = any (ids) or n.post_id = any (ids)
    union
    select q.owner_id from posts p join posts q on q.id = p.parent_id where p.id = any (ids) and q.owner_id is not null
    union
    select (m ->> 'id')::bigint from removed_posts k cross join lateral jsonb_array_elements(k.mentions) m
    where k.post_id = any (ids)));
end
$$;
