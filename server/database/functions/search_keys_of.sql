-- version 1 sha256:97a3b8fe5da89642
-- By what a post is found: its words, and of words that are cut, behind a space, their pieces with their places. As
-- `keysOf` of server/text/keys.ts.
create or replace function search_keys_of(folded text) returns tsvector
language plpgsql immutable strict parallel safe set search_path from current as $$
begin
  if not search_word_is_cut(folded) then
    return array_to_tsvector(array_remove(string_to_array(folded, ' '), ''));
  end if;
  return array_to_tsvector(array(
    select w.word from unnest(string_to_array(folded, ' ')) as w (word)
    where w.word <> '' and not search_word_is_cut(w.word)
    union all
    select ' ' || c.rest || ' ' || (c.at - 1) % 16
    from (
      select distinct w.word from unnest(string_to_array(folded, ' ')) as w (word) where search_word_is_cut(w.word)
    ) w,
    lateral search_pieces(w.word) c
  ));
end
$$;
