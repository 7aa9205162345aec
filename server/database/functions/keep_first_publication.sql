-- version 1 sha256:474dcc2c0a756611
-- Decides where a post stands in `sort=new` and `sort=hot`: where its first publication put it. By the database's
-- clock, which orders everything, and which is read after that of the statement: a post is never updated before it is
-- published.
create or replace function keep_first_publication() returns trigger
language plpgsql as $$
begin
  if old.published then
    new.was_published := true;
  else
    new.listed_at := case when old.was_published then old.listed_at else clock_timestamp() end;
    new.updated_at := greatest(new.updated_at, new.listed_at);
  end if;
  return new;
end
$$;
