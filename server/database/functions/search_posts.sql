-- version 2 sha256:3451f1f13c0d04d8
-- As `find_posts`, for nodes of a version before.
create or replace function search_posts(pieces tsquery, patterns text[], at_most bigint) returns setof bigint
language sql stable set search_path from current as $$
  select p.id from posts p where p.search_text like all (patterns) limit at_most
$$;
