-- version 1 sha256:33147aabc12d4143
-- The characters of a word that is cut, with what begins at each: two of them if both are of a script with thousands
-- (and so from U+2E80 on, but for kana), three elsewhere. `piece` is null at the end of the word, and `rest` what is
-- left there.
create or replace function search_pieces(word text) returns table (at bigint, piece text, rest text)
language sql immutable parallel safe as $$
  select c.at,
         case when c.many and lead(c.many) over o then c.one || lead(c.one) over o
              else c.one || lead(c.one) over o || lead(c.one, 2) over o end as piece,
         concat(c.one, lead(c.one) over o, case when c.many and lead(c.many) over o then '' else lead(c.one, 2) over o end) as rest
  from (
    select c.at, c.one, c.one collate "C" >= '⺀' and not c.one collate "C" between '぀' and 'ヿ' as many
    from unnest(string_to_array(word, null)) with ordinality as c (one, at)
  ) c
  window o as (order by c.at)
$$;
