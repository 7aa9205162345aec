-- version 1 sha256:603c6f1260ebe835
-- What the index is asked for posts that have all of some folded words: the union of `queries` holds them, and
-- others, since only their texts tell whether a word is there. None if there can be no such post; null if the words
-- are parts of too many others.
--
-- A word is part of words that are known, or of one that is cut: then its pieces follow each other, from any place
-- on. There are several queries where many words contain it, since a long one costs more for each post that it meets;
-- and for a word that is cut one for each place, since the index intersects the posts of some keys much faster than
-- it tells which of several such sets they are in. `rough` is one query in place of these, which does not ask for the
-- places. Of several words one has alternatives, and the rest is said in each query. A word that hundreds of words
-- contain is left out if others say enough.
create or replace function search_queries(words text[], out queries tsquery[], out rough tsquery)
language plpgsql stable set search_path from current
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_indexscan = off set enable_bitmapscan = on as $$
declare
  most constant integer := 4096;
  asked text;
  cut boolean;
  parts text;
  loose text[];
  places text[];
  found text[];
  -- The alternatives that are asked for one after another, at_once in one query; and what is in each query beside them.
  driver text[];
  driver_loose text[];
  at_once integer := 16;
  common text;
  many text[];
begin
  foreach asked in array words loop
    cut := search_word_is_cut(asked);
    parts := (
      select string_agg('''' || replace(replace(p.p, '\', '\\'), '''', '''''') || '''' || case when char_length(asked) < 3 then ':*' else '' end, '&')
      from unnest(search_parts(asked)) with ordinality as p (p, at)
      where char_length(p.p) = 3 or p.at = 1 and char_length(asked) < 3);
    found := case when cut then '{}' else array(
      select '''' || replace(replace(s.word, '\', '\\'), '''', '''''') || ''''
      from (
        select distinct w.word from search_words w
        where array_to_tsvector(search_parts(w.word)) @@ parts::tsquery and strpos(w.word, asked) > 0
        limit most + 1
      ) s) end;
    if cardinality(found) > most then
      continue;
    end if;
    -- From each of the sixteen places that its first piece may have; pieces that do not overlap, and the last.
    places := array(
      select string_agg('''' || replace(replace(' ' || c.piece || ' ' || (c.at + place) % 16, '\', '\\'), '''', '''''') || '''', '&')
      from (
        select a.at, a.piece, row_number() over (order by a.at) - 1 as number, count(*) over () as count
        from search_pieces(asked) a where a.piece is not null
      ) c, generate_series(0, 15) as place
      where c.number % greatest(char_length(c.piece), 1 + c.count / 12) = 0 or c.number = c.count - 1
      group by place);
    if places = '{}' then
      -- Shorter than a piece, and so the beginning of one.
      places := array['''' || replace(replace(' ' || asked, '\', '\\'), '''', '''''') || '''' || ':*'];
    end if;
    if cut or exists (select from posts p where coalesce(p.search_keys, search_keys_of(p.search_text)) @@ array_to_string(places, '|')::tsquery) then
      found := found || places;
    end if;
    if found = '{}' then
      queries := '{}';
      return;
    end if;
    if cardinality(found) > 128 then
      if many is null or cardinality(found) < cardinality(many) then
        many := found;
      end if;
      continue;
    end if;
    -- Of a word that is cut and no driver it is asked where its pieces are, and not whether they follow each other.
    loose := case when cut and found[1] like '%&%' then array[(
      select string_agg(c.anywhere, '&')
      from (
        select '(' || string_agg('''' || replace(replace(' ' || c.piece || ' ' || place, '\', '\\'), '''', '''''') || '''', '|') || ')' as anywhere
        from (
          select a.at, a.piece, row_number() over (order by a.at) - 1 as number, count(*) over () as count
          from search_pieces(asked) a where a.piece is not null
        ) c, generate_series(0, 15) as place
        where c.number % greatest(char_length(c.piece), 1 + c.count / 3) = 0 or c.number = c.count - 1
        group by c.at
      ) c)] end;
    if driver is null then
      driver := found;
      driver_loose := loose;
    elsif cardinality(found) > cardinality(driver) then
      common := concat_ws('&', common, '(' || array_to_string(coalesce(driver_loose, driver), '|') || ')');
      driver := found;
      driver_loose := loose;
    else
      common := concat_ws('&', common, '(' || array_to_string(coalesce(loose, found), '|') || ')');
    end if;
  end loop;
  if cardinality(many) <= 512 or driver is null then
    common := concat_ws('&', common, '(' || array_to_string(coalesce(driver_loose, driver), '|') || ')');
    driver := many;
  elsif driver_loose is not null then
    rough := concat_ws('&', common, driver_loose[1])::tsquery;
    at_once := 1;
  elsif common is not null then
    at_once := 1 + cardinality(driver) / 33;
  end if;
  if driver is not null then
    queries := array(
      select concat_ws('&', nullif(common, ''), '(' || string_agg(f.key, '|') || ')')::tsquery
      from unnest(driver) with ordinality as f (key, at)
      group by (f.at - 1) / at_once);
  end if;
end
$$;
