-- version 1 sha256:a8108e1962ef7856
-- Adds those of some words, each given once, that `search_words` does not have yet. What a transaction with an older
-- snapshot sees there may have been taken away meanwhile.
create or replace function add_search_words(words text[]) returns void
language plpgsql set search_path from current
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  if current_setting('transaction_isolation') = 'read committed' then
    insert into search_words (word)
    select w.word from unnest(words) as w (word)
    where not exists (select from search_words s where s.word = w.word and s.unused_since is null);
  else
    insert into search_words (word) select unnest(words);
  end if;
end
$$;
