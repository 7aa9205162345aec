-- version 2 sha256:3e38a22042d79d42
-- Marks a post whose text was changed without what is found in it, as by a node of the version before: any node finds
-- that then. A deleted post has none.
create or replace function forget_tags() returns trigger
language plpgsql as $$
begin
  if new.deleted_at is null then
    new.parsed_at := null;
  else
    new.tags := '{}';
    new.mentions := '[]';
    new.parsed_at := clock_timestamp();
  end if;
  return new;
end
$$;
