-- version 4 sha256:f5fc8e5ce8f9e22b
-- The posts that one of the queries finds, from one end of some ids on, as long as they are not too many: `hits` are
-- those of them that match the patterns too, and `rest` is the id from which on they are many; null if there is none.
--
-- The ranges of blocks that the index is asked for grow until one has too many posts, and shrink from then on, down
-- to one block. No range is longer than what has been passed, from 16 blocks on than half of that, or than 32 blocks
-- (64 thousand ids), since the index intersects all that it has of a range before the first post is read. Each question
-- asks all of the queries. So where there are several they are asked for all posts at once first, which is enough for
-- rare words and for those that deceive, and then there are fewer questions: of ranges that shrink only to a 128th of all
-- blocks, begin with 16 times as many, and grow with what has been passed up to 1,024. Where they are many, one of the
-- queries alone tells from where on: the one that has had many, or of the beginning of pieces the piece that is met most
-- often. All of them are asked once then, for what lies before.
--
-- `deceptive`: they are many, but hardly any of them matches. `sparse`: ids lie so far apart that the questions are
-- too many; it is asked for all posts at once then, as it is where `blocked` is false, since the index knows no
-- blocks.
create or replace function search_candidates(queries tsquery[], rough tsquery, patterns text[], at_most bigint, low bigint, high bigint,
                                  downward boolean, blocked boolean,
                                  out hits bigint[], out rest bigint, out sparse boolean, out deceptive boolean)
language plpgsql stable set search_path from current
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = on
set max_parallel_workers_per_gather = 0 set work_mem = '32MB' as $$
declare
  -- The beginning of pieces is as good as several queries: each question collects all posts that have any of these.
  several boolean := cardinality(queries) > 1 or queries::text like '%:*%';
  dense constant bigint := at_most / 8;
  narrowest bigint := 1;
  -- The next block; downward the one behind it. And where it ends.
  position bigint := case when downward then (high >> 11) + 1 else low >> 11 end;
  last constant bigint := case when downward then low >> 11 else (high >> 11) + 1 end;
  nearest bigint;
  passed bigint := 0;
  width bigint;
  far bigint;
  narrowing boolean := false;
  candidates bigint := 0;
  looked bigint := 0;
  matching bigint := 0;
  found_ids bigint[];
  count bigint;
  example tsquery;
  nearer bigint;
  farther bigint;
  middle bigint;
  post record;
begin
  hits := '{}';
  sparse := not blocked;
  deceptive := false;
  if sparse then
    select count(*), array_agg(c.id) filter (where c.hit) into count, found_ids
    from (
      select p.id, p.search_text like all (patterns) as hit from unnest(queries) as q (query) join posts p on coalesce(p.search_keys, search_keys_of(p.search_text)) @@ q.query
      where p.id + 0 between low and high
      limit at_most + 1
    ) c;
    if count <= at_most then
      hits := coalesce(found_ids, '{}');
    else
      rest := case when downward then high else low end;
    end if;
    return;
  end if;

  if several then
    -- For all posts: until it is seen that they are many and match, or too many whatever they are.
    count := 0;
    for post in
      select p.id, p.search_text like all (patterns) as hit, q.query
      from unnest(queries) as q (query) join posts p on coalesce(p.search_keys, search_keys_of(p.search_text)) @@ q.query
      where p.id + 0 between low and high
    loop
      count := count + 1;
      if post.hit then
        hits := hits || post.id;
      end if;
      if count > at_most / 4 and cardinality(hits) * 20 >= count or count > at_most * 16 then
        example := case when count <= at_most * 16 then post.query end;
        found_ids := hits;
        hits := '{}';
        rest := high;
        exit;
      end if;
    end loop;
    if rest is null then
      return;
    end if;
    rest := null;
    if numnode(example) = 1 and example::text like '%:*' then
      select array_to_tsvector(array[k.key])::text::tsquery into example
      from posts p, unnest(tsvector_to_array(coalesce(p.search_keys, search_keys_of(p.search_text)))) as k (key)
      where p.id = any (found_ids[1:16]) and array_to_tsvector(array[k.key]) @@ example
      group by k.key order by count(*) desc limit 1;
    end if;
    if example::text not like '%:*%' then
      -- Between none and all of the blocks; if it is wrong to halve them, it is seen by what lies before.
      nearer := 0;
      farther := abs(last - position);
      while nearer < farther loop
        middle := (nearer + farther) / 2;
        far := case when downward then position - middle - 1 else position + middle end;
        perform from posts p
        where array[p.id >> 11, -1 - 2 * (p.id >> 13), -2 - 2 * (p.id >> 15)] && array[far] and coalesce(p.search_keys, search_keys_of(p.search_text)) @@ example
        offset dense / greatest(cardinality(queries), 16) limit 1;
        if found then
          farther := middle;
        else
          nearer := middle + 1;
        end if;
      end loop;
      far := case when downward then position - nearer else position + nearer end;
      select count(*), array_agg(c.id) filter (where c.hit) into count, found_ids
      from (
        select p.id, p.search_text like all (patterns) as hit from unnest(queries) as q (query)
        join posts p on array[p.id >> 11, -1 - 2 * (p.id >> 13), -2 - 2 * (p.id >> 15)] && search_blocks(least(far, position), greatest(far, position)) and coalesce(p.search_keys, search_keys_of(p.search_text)) @@ q.query
        limit at_most + 1
      ) c;
      if count <= at_most then
        hits := coalesce(found_ids, '{}');
        rest := case when far = last then null when downward then (far << 11) - 1 else far << 11 end;
        return;
      end if;
    end if;
    if rough is not null then
      queries := array[rough];
      several := false;
    else
      narrowest := 1 + abs(last - position) / 128;
    end if;
  end if;
  for asked in 1 .. 300 loop
    if not narrowing then
      -- Blocks without any post are passed over.
      if downward then
        select max(p.id) into nearest from posts p where p.id >= low and p.id < position << 11;
        position := (nearest >> 11) + 1;
      else
        select min(p.id) into nearest from posts p where p.id <= high and p.id >= position << 11;
        position := nearest >> 11;
      end if;
      width := case when several then least(greatest(16 * narrowest, passed), 1024)
                    when passed < 16 then greatest(1, passed) else least(passed / 2, 32) end;
    end if;
    if position is null or position = last then
      return;
    end if;

    far := case when downward then greatest(last, position - width) else least(last, position + width) end;
    select count(*), array_agg(c.id) filter (where c.hit) into count, found_ids
    from (
      select p.id, p.search_text like all (patterns) as hit from unnest(queries) as q (query)
      join posts p on array[p.id >> 11, -1 - 2 * (p.id >> 13), -2 - 2 * (p.id >> 15)] && search_blocks(least(far, position), greatest(far, position)) and coalesce(p.search_keys, search_keys_of(p.search_text)) @@ q.query
      limit least(at_most - candidates, dense) + 1
    ) c;
    looked := looked + count;
    matching := matching + coalesce(cardinality(found_ids), 0);
    if count <= least(at_most - candidates, dense) then
      hits := hits || found_ids;
      candidates := candidates + count;
      passed := passed + abs(far - position);
      position := far;
    else
      if width <= narrowest then
        deceptive := matching * 20 < looked;
        rest := case when downward then (position << 11) - 1 else position << 11 end;
        return;
      end if;
      narrowing := true;
      width := greatest((width + 3) / 4, narrowest);
    end if;
  end loop;
  rest := case when downward then (position << 11) - 1 else position << 11 end;
  sparse := true;
end
$$;

-- That of the version before took pieces. Only `search_page` calls it.
drop function if exists search_candidates(tsquery, text[], bigint, bigint, bigint, boolean, boolean);
