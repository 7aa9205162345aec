-- version 1 sha256:887cb33cdc29c3ed
-- Deletes the next posts for good that moderators removed thirty days ago. Gives back how many.
create or replace function prune_removed_posts(most integer) returns integer
language plpgsql set search_path from current as $$
declare
  due bigint[] := array(
    select r.post_id from removed_posts r where r.removed_at < now() - interval '30 days'
    order by r.removed_at limit most);
begin
  if due = '{}' then
    return 0;
  end if;
  perform lock_to_delete(due);
  -- One of them may have been restored meanwhile.
  due := array(select r.post_id from removed_posts r where r.post_id = any (due) order by r.post_id);
  perform forget_removed_posts(due);
  return cardinality(due);
end
$$;
