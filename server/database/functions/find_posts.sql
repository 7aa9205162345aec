-- version 2 sha256:2ab17ba4be229266
-- What nodes of a version before call in place of `search_page`: posts that match all patterns, but no more than so
-- many, in no order. They read every post for it: of the pieces that they ask with the index knows nothing any more.
create or replace function find_posts(pieces tsquery, patterns text[], at_most bigint)
returns table (id bigint, owner_id bigint, published boolean, listed_at timestamptz)
language sql stable set search_path from current as $$
  select p.id, p.owner_id, p.published, p.listed_at from posts p where p.search_text like all (patterns) limit at_most
$$;
