-- version 1 sha256:ba9cb6041d2f7ef4
-- What nodes of the version before call in place of `search_page`: posts that have all pieces and match all patterns,
-- but no more than so many, in no order. By the index whatever the statistics say: for a word that is rare reading
-- all posts is never right, and the caller stops where there are many. With room for the exact places of all that are
-- found: without it whole pages of posts are compared with the pieces again.
create or replace function find_posts(pieces tsquery, patterns text[], at_most bigint)
returns table (id bigint, owner_id bigint, published boolean, listed_at timestamptz)
language sql stable set search_path from current
set enable_seqscan = off set enable_indexscan = off set work_mem = '32MB' as $$
  select p.id, p.owner_id, p.published, p.listed_at from posts p
  where p.search_grams @@ pieces and p.search_text like all (patterns)
  limit at_most
$$;
