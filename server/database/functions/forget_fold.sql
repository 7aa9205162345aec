-- version 1 sha256:0ca314f3105e1065
-- Marks a post whose text was changed without what searches compare, as by hand: a node makes that anew.
create or replace function forget_fold() returns trigger
language plpgsql as $$
begin
  new.search_fold := null;
  return new;
end
$$;
