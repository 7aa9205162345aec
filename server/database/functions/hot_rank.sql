-- version 1 sha256:2d8ad3c7cb121a29
-- The rank in `sort=hot`. Ten times the votes weigh as much as half a day (45,000 s) of youth: the rank known from
-- Reddit, which needs no recomputation as time passes, since every post ages alike. It names no table, so it needs no
-- search_path, with which it could not be inlined.
create or replace function hot_rank(votes integer, listed_at timestamptz) returns double precision
language sql stable parallel safe as $$
  select log(greatest(votes, 1)::double precision) + extract(epoch from listed_at)::double precision / 45000
$$;
