-- version 1 sha256:cbdba771d5129fef
-- For a writer that knows of texts, but not of keys: those would stay as they were. Without them the index has what
-- the database makes of the text.
create or replace function forget_search_keys() returns trigger
language plpgsql as $$
begin
  new.search_keys := null;
  return new;
end
$$;
