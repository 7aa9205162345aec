-- version 7 sha256:43af634160a03fad
-- A page of the list of the posts that have all of some folded words, in its order: ids, and the key that each is
-- sorted by, as text.
--
-- First the beginning of the list is walked through: words that many posts have are met there. Then the index is asked.
-- Where it finds few posts, these are read. Where it finds many, it tells from which id on: those before are read, and
-- the others are met on a walk through the list that passes over all ids before, in the index of the list. The page is
-- the same wherever that id is, and whatever the order of the list has to do with ids: a good one only makes it fast.
-- For lists by votes the oldest posts are looked through in the same way, since votes do not follow age. If the page is
-- not full then, both go on, each with eight times as many posts: so it costs a few times the better of the two at
-- most, and needs no statistics.
--
-- Without words it is a page of all of the list, for lists that no index sorts: there is only the walk.
--
-- Only posts of `authors` and with the tag are looked for, unless these are null, and none of `hidden`. Replies are
-- among them only if `replies` says so, and those of threads that were withdrawn or deleted never.
--
-- `walked` says how many posts are walked through at first for each that is wanted, `asked` how many the index is asked
-- for. The plans are given: a walk goes by the index of its list, whatever the statistics say.
create or replace function search_page(sort text, words text[], page_size bigint, skipped bigint,
                            cursor_key text, cursor_id bigint, owner bigint, drafts_of bigint, drafts_only boolean,
                            walked bigint, asked bigint, authors bigint[], hidden bigint[], tag text,
                            replies boolean)
returns table (id bigint, key text)
language plpgsql stable rows 20 set search_path from current
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set enable_incremental_sort = off
set enable_hashjoin = off set enable_mergejoin = off set enable_material = off
set max_parallel_workers_per_gather = 0 as $$
declare
  patterns constant text[] :=
    array(select '%' || regexp_replace(w, '([\\%_])', '\\\1', 'g') || '%' from unnest(words) w);
  queries tsquery[];
  rough tsquery;
  wanted constant bigint := skipped + page_size;
  column_of constant text := case sort when 'new' then 'p.listed_at' when 'top' then 't.votes' else 't.hot' end;
  id_of constant text := case sort when 'new' then 'p.id' else 't.post_id' end;
  type_of constant text := case sort when 'new' then 'timestamptz' when 'top' then 'integer' else 'double precision' end;
  tallies constant text := case sort when 'new' then '' else 'join post_tallies t on t.post_id = p.id' end;
  draft constant text := case when drafts_of is null then 'false' else '(not p.published and p.owner_id = $3)' end;
  listed constant text :=
    case when drafts_only then draft else '(p.published or ' || draft || ')' end
    || case when replies
              then ' and (p.root_id is null or exists (select from posts r where r.id = p.root_id and r.published))'
            when sort = 'new' then ' and p.parent_id is null'
            else ' and t.root_id is null' end
    || case when owner is null then '' else ' and p.owner_id = $2' end
    || case when tag is null then '' else ' and p.tags @> array[$14]' end
    || case when cursor_key is null then ''
            else format(' and (%s, %s) < ($4::%s, $5)', column_of, id_of, type_of) end;
  few_of constant text := case when drafts_only then 'not p.published and p.owner_id = ' || coalesce(drafts_of, 0)
                                  when owner is not null then 'p.owner_id = ' || owner
                                  when tag is not null then 'p.id in (select g.post_id from post_tags g where g.tag = $3)' end;
  found constant text := case when words = '{}' then 'true' else 'p.search_text like all ($1)' end;
  wanted_authors constant text := 'p.owner_id not in (select unnest($10))'
    || case when authors is null then '' else ' and p.owner_id in (select unnest($13))' end;
  statement constant text := format(
    'with walked as materialized (
       select w.id, w.key, w.hit, w.place
       from (
         select p.id, %1$s as key, %6$s and %5$s as hit,
                row_number() over (order by %1$s desc, %2$s desc) as place
         from posts p %3$s where %4$s and %2$s >= $6 and %2$s <= $7 and $6 <= $7
         order by %1$s desc, %2$s desc limit $8
       ) w
       where w.hit or w.place = $8
       limit $11 + $12
     ), looked as (
       select count(*) < $11 + $12 and coalesce(max(w.place), 0) < $8 as whole from walked w
     ), behind as (
       select w.key, w.id from walked w order by w.key, w.id limit 1
     ), matching as (
       select w.id, w.key from walked w where w.hit
       union all
       select f.id, f.key
       from (
         select p.id, %1$s as key from (select distinct unnest($9) as id) c join posts p on p.id = c.id %3$s
         where %4$s and %5$s
       ) f
       where (select l.whole from looked l) or (f.key, f.id) > (select b.key, b.id from behind b)
     ), page as (
       select m.id, m.key from matching m order by m.key desc, m.id desc limit $11 offset $12
     )
     select (select l.whole from looked l), array_agg(g.id order by g.key desc, g.id desc),
            array_agg(g.key::text order by g.key desc, g.id desc)
     from page g', column_of, id_of, tallies, listed, wanted_authors, found);
  gone constant bigint[] := array(
    select u.id from account_tasks a join users u on u.id = a.user_id where u.deleted_at is not null) || hidden;
  most bigint := wanted * walked;
  budget bigint := greatest(asked, wanted * 8);
  low bigint := 0;
  high bigint := coalesce((select max(p.id) from posts p), 0);
  blocked boolean;
  hits bigint[] := '{}';
  few record;
  whole boolean;
  ids bigint[];
  keys text[];
begin
  for attempt in 0 .. 12 loop
    if attempt = 1 then
      blocked := exists (select from pg_index i
                         where i.indexrelid = to_regclass('posts_search_keys_idx') and i.indisvalid and i.indnatts = 2);
      if words <> '{}' then
        select q.queries, q.rough into queries, rough from search_queries(words) q;
      end if;
      -- Farther than the narrowest range in which the first of many posts may lie.
      most := greatest(most, 2 * asked + least(high / 64, 32 * asked));
    end if;
    if few_of is not null and attempt = (case when drafts_only then 0 else 1 end) then
      -- Somebody's posts or drafts, or those with a tag, are soon read, if they are few.
      execute format(
        'select count(*) as posts, array_agg(o.id) filter (where o.hit) as hits
         from (select p.id, %s as hit from posts p where %s limit $2 + 1) o', found, few_of)
      into few using patterns, budget, tag;
      if few.posts <= budget then
        hits := coalesce(few.hits, '{}');
        high := -1;
      end if;
    end if;
    if queries = '{}' then
      high := -1;
    end if;
    if queries is not null and low <= high then
      few := search_candidates(queries, rough, patterns, budget, low, high, true, blocked);
      hits := hits || few.hits;
      blocked := blocked and not few.sparse;
      high := coalesce(few.rest, -1);
      if sort = 'top' and blocked and not few.deceptive and low <= high then
        few := search_candidates(queries, rough, patterns, budget, low, high, false, true);
        hits := hits || few.hits;
        blocked := not few.sparse;
        low := coalesce(few.rest, high + 1);
      end if;
      if few.deceptive then
        -- A walk through the list would meet even fewer.
        few := search_candidates(queries, rough, patterns, high + 1, low, high, true, false);
        hits := hits || few.hits;
        high := -1;
      end if;
    end if;
    execute statement into whole, ids, keys
    using patterns, owner, drafts_of, cursor_key, cursor_id, low, high, most, hits, gone, page_size, skipped, authors,
      tag;
    exit when whole or cardinality(ids) >= page_size;
    if attempt > 0 then
      budget := budget * 8;
      most := most * 8;
    end if;
  end loop;
  return query select * from unnest(ids, keys);
end
$$;

-- What nodes of the version before call: of any author.
create or replace function search_page(sort text, words text[], page_size bigint, skipped bigint,
                                       cursor_key text, cursor_id bigint, owner bigint, drafts_of bigint,
                                       drafts_only boolean, walked bigint, asked bigint)
returns table (id bigint, key text)
language sql stable rows 20 set search_path from current as $$
  select * from search_page(sort, words, page_size, skipped, cursor_key, cursor_id, owner, drafts_of, drafts_only,
                            walked, asked, null, '{}', null, false)
$$;

-- What nodes of a version before that call: with pieces, and with the words as patterns.
create or replace function search_page(sort text, pieces tsquery, patterns text[], page_size bigint, skipped bigint,
                                       cursor_key text, cursor_id bigint, owner bigint, drafts_of bigint,
                                       drafts_only boolean, walked bigint, asked bigint)
returns table (id bigint, key text)
language sql stable rows 20 set search_path from current as $$
  select * from search_page(
    sort, array(select regexp_replace(substr(p, 2, char_length(p) - 2), '\\(.)', '\1', 'g') from unnest(patterns) p),
    page_size, skipped, cursor_key, cursor_id, owner, drafts_of, drafts_only, walked, asked)
$$;
