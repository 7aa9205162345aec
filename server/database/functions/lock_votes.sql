-- version 2 sha256:4d5aa9a131b996c6
-- Locks the tallies of posts, so that what is counted of their votes stays until the end of the transaction, and before
-- them the posts with the first posts of their threads, in the order in which everyone locks these: none is deleted or
-- withdrawn meanwhile. Gives back those that are locked. Without patience, one that somebody else has locked is left.
create or replace function lock_votes(ids bigint[], patient boolean) returns bigint[]
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  wanted constant bigint[] := array(
    select p.id from posts p where p.id = any (ids)
    union
    select p.root_id from posts p where p.id = any (ids) and p.root_id is not null);
  held bigint[];
  free bigint[];
begin
  if patient then
    held := array(select p.id from posts p where p.id = any (wanted) order by p.id for key share);
  else
    held := array(select p.id from posts p where p.id = any (wanted) order by p.id for key share skip locked);
  end if;
  free := array(
    select p.id from posts p where p.id = any (ids) and p.id = any (held) and coalesce(p.root_id, p.id) = any (held));
  if patient then
    return array(
      select t.post_id from post_tallies t where t.post_id = any (free) order by t.post_id for no key update);
  end if;
  return array(
    select t.post_id from post_tallies t where t.post_id = any (free) order by t.post_id for no key update skip locked);
end
$$;
