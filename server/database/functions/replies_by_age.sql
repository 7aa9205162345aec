-- version 1 sha256:93c2443d5431f1a9
-- The first replies of a thread by age, or the first behind one of them, as its index has them, by all authors. The plan
-- is given: for a thread of many replies PostgreSQL would walk through all posts instead, from the oldest or the newest.
create or replace function replies_by_age(root bigint, newest_first boolean, behind bigint, at_most bigint)
returns table (post_id bigint)
language plpgsql stable rows 100 set search_path from current
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
begin
  if newest_first then
    return query
    select p.id from posts p where p.root_id = root and p.id < coalesce(behind, 9223372036854775807)
    order by p.id desc limit at_most;
  else
    return query
    select p.id from posts p where p.root_id = root and p.id > coalesce(behind, root)
    order by p.id limit at_most;
  end if;
end
$$;
