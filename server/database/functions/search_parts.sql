-- version 1 sha256:f95aabbd30743ae7
-- The parts of a word by which it is found in `search_words`: the three characters from each of its characters on.
create or replace function search_parts(word text) returns text[]
language plpgsql immutable strict parallel safe as $$
declare
  parts text[] := '{}';
begin
  for at in 1 .. char_length(word) loop
    parts := parts || substr(word, at, 3);
  end loop;
  return parts;
end
$$;
