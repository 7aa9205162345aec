-- version 1 sha256:70b893c127b7da50
-- Takes away words that no post has any more, some at a time, and tells where to go on; null behind the last one.
--
-- A transaction that is about to write a post may have seen a word and so not have added it. So a word without posts
-- is marked first: from then on nobody relies on it, and who needs it adds it again. In a later call, which sees the
-- mark, it is noted which transactions may have begun before. Only when these have ended is it looked again, and the
-- word deleted.
create or replace function prune_search_words(after text, at_most integer) returns text
language plpgsql set search_path from current
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
  words text[];
begin
  with old as materialized (
    select s.ctid, s.unused_since, exists (
      select from posts p where coalesce(p.search_keys, search_keys_of(p.search_text)) @@ ('''' || replace(replace(s.word, '\', '\\'), '''', '''''') || '''')::tsquery) as used
    from search_words s
    where s.unused_since is not null
      and (s.unused_since = '0' or s.unused_since <= pg_snapshot_xmin(pg_current_snapshot()))
    limit at_most
  ), deleted as (
    delete from search_words s using old o
    where s.ctid = o.ctid and s.unused_since = o.unused_since and not o.used and o.unused_since <> '0'
  )
  update search_words s
  set unused_since = case when not o.used then pg_snapshot_xmax(pg_current_snapshot()) end
  from old o
  where s.ctid = o.ctid and s.unused_since = o.unused_since and (o.used or o.unused_since = '0');

  words := array(
    select distinct s.word from search_words s
    where s.unused_since is null and s.word > after collate "C" order by s.word limit at_most);
  update search_words s set unused_since = '0'
  where s.word = any (words) and s.unused_since is null
    and not exists (select from posts p where coalesce(p.search_keys, search_keys_of(p.search_text)) @@ ('''' || replace(replace(s.word, '\', '\\'), '''', '''''') || '''')::tsquery);
  return words[at_most];
end
$$;
