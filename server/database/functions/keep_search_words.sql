-- version 1 sha256:ab7b3052de0698d3
-- Where a writer does not add the words: nodes of the version before, whatever changes a post, and changes by hand.
create or replace function keep_search_words() returns trigger
language plpgsql set search_path from current as $$
begin
  perform add_search_words(array(
    select k.key from unnest(tsvector_to_array(coalesce(new.search_keys, search_keys_of(new.search_text)))) as k (key)
    where strpos(k.key, ' ') = 0));
  return null;
end
$$;
