-- version 2 sha256:a09ecf0566995035
-- The first replies of a thread by votes, or the first behind one of them, as its index has them, by all authors. The
-- plan is given: a sort would read all of a wide thread for each page.
create or replace function top_replies(root bigint, behind_votes integer, behind_id bigint, at_most bigint)
returns table (post_id bigint)
language plpgsql stable rows 100 set search_path from current
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
#variable_conflict use_column
begin
  return query
  select t.post_id from post_tallies t
  where t.root_id = root
    and (t.votes, t.post_id) < (coalesce(behind_votes, 2147483647), coalesce(behind_id, 9223372036854775807))
  order by t.votes desc, t.post_id desc limit at_most;
end
$$;
