-- version 8 sha256:4ce76da6d97baceb
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
-- Without words it is a page of all of the list, for lists that no index sorts: somebody's posts, or those with a tag, by
-- votes. They are read if they are fewer than the posts that a walk to the end of the page would pass if they were as many
-- and lay anywhere, which is the square root of the wanted ones times all; otherwise they are met on the walk. If they are
-- not, both go on as above.
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
  owned constant text :=
    case when drafts_only then draft else '(p.published or ' || draft || ')' end
    || case when owner is null then '' else ' and p.owner_id = $2' end;
  -- What the index of a list has in it: by age, that of one author's posts too. A walk counts no others.
  listed constant text :=
    case when replies
           then '(p.root_id is null or (select r.published from posts r where r.id = p.root_id))'
         when sort = 'new' then 'p.parent_id is null'
         else 't.root_id is null' end
    || case when sort = 'new' then ' and ' || owned else '' end
    || case when cursor_key is null then ''
            else format(' and (%s, %s) < ($4::%s, $5)', column_of, id_of, type_of) end;
  chosen constant text := 'p.owner_id not in (select unnest($10))'
    || case when sort = 'new' then '' else ' and ' || owned end
    || case when tag is null then '' else ' and p.tags @> array[$14]' end
    || case when authors is null then '' else ' and p.owner_id in (select unnest($13))' end;
  few_of constant text :=
    case when drafts_only
           then 'select p.id from posts p where not p.published and p.owner_id = ' || coalesce(drafts_of, 0)
         when owner is not null
           then 'select p.id from posts p where p.owner_id = ' || owner
             || case when replies then '' else ' and p.parent_id is null' end
         when tag is not null then 'select g.post_id as id from post_tags g where g.tag = $3' end;
  found constant text := case when words = '{}' then 'true' else 'p.search_text like all ($1)' end;
  -- The posts with some ids, whatever the statistics say. By votes they are sorted before they are read, since only the
  -- first are wanted.
  known constant text := case sort
    when 'new' then '(select * from posts p where p.id = any ($9) offset 0) p'
    else format('(
        select t.* from (select * from post_tallies t where t.post_id = any ($9) offset 0) t
        order by %s desc, t.post_id desc offset 0
      ) t cross join lateral (select * from posts p where p.id = t.post_id offset 0) p', column_of) end;
  known_page constant text := format(
    'select p.id, %1$s::text from %2$s where %3$s and %4$s order by %1$s desc, %5$s desc limit $11 offset $12',
    column_of, known, listed, chosen, id_of);
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
         select p.id, %1$s as key from %7$s
         where %4$s and %5$s order by %1$s desc, %2$s desc limit $11 + $12
       ) f
       where (select l.whole from looked l) or (f.key, f.id) > (select b.key, b.id from behind b)
     ), page as (
       select m.id, m.key from matching m order by m.key desc, m.id desc limit $11 offset $12
     )
     select (select l.whole from looked l), array_agg(g.id order by g.key desc, g.id desc),
            array_agg(g.key::text order by g.key desc, g.id desc)
     from page g', column_of, id_of, tallies, listed, chosen, found, known);
  gone constant bigint[] := array(
    select u.id from account_tasks a join users u on u.id = a.user_id where u.deleted_at is not null) || hidden;
  low bigint := 0;
  high bigint := coalesce((select max(p.id) from posts p), 0);
  budget bigint := case when words = '{}' then least(greatest(asked / 4, sqrt(wanted::float8 * high)), asked * 8)
                        else greatest(asked, wanted * 8) end;
  most bigint := greatest(wanted * walked, case when words = '{}' then 2 * budget end);
  blocked boolean;
  hits bigint[] := '{}';
  few record;
  whole boolean;
  ids bigint[];
  keys text[];
begin
  for attempt in 0 .. 12 loop
    if attempt = 1 and words <> '{}' then
      blocked := exists (select from pg_index i
                         where i.indexrelid = to_regclass('posts_search_keys_idx') and i.indisvalid and i.indnatts = 2);
      select q.queries, q.rough into queries, rough from search_queries(words) q;
      -- Farther than the narrowest range in which the first of many posts may lie.
      most := greatest(most, 2 * asked + least(high / 64, 32 * asked));
    end if;
    if few_of is not null and (words = '{}' or attempt = (case when drafts_only then 0 else 1 end)) then
      -- Somebody's posts or drafts, or those with a tag, are soon read, if they are few.
      execute format(
        'select count(*) as posts, array_agg(o.id) filter (where o.hit) as hits
         from (select c.id, %s as hit from (%s limit $2 + 1) c %s) o', found, few_of,
        case when words = '{}' then '' else 'join posts p on p.id = c.id' end)
      into few using patterns, budget, tag;
      if few.posts <= budget then
        hits := coalesce(few.hits, '{}');
        high := -1;
        if words = '{}' then
          return query execute known_page
          using patterns, owner, drafts_of, cursor_key, cursor_id, low, high, most, hits, gone, page_size, skipped, authors, tag;
          return;
        end if;
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
    if attempt > 0 or words = '{}' then
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
