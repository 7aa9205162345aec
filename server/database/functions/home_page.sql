-- version 5 sha256:4e23315e508835f6
-- A page of a viewer's home page: ids of the newest posts, or of the highest by votes or rank, of the viewer and of
-- whom they follow, as the stream has it, but for `hidden`; and the key that each is sorted by, as text.
--
-- By age, first the newest `near` posts of all are walked through, and each author is looked up among the followed:
-- where a good share of the posts is theirs, the page is met there, and costs little more than one of all posts. If it
-- should be met farther on, before as many posts as there are authors, up to `far` are walked through. Otherwise the
-- authors' own posts are read in one scan of the index of posts by author, `few` at most, since nothing else bounds
-- how many there are: those of as long a time as should hold the page, by how often the walk has met one; and all of
-- them, which comes first where it has met none. If neither is the page, the newest of each author is asked for, and
-- then more of those authors alone whose newest is on the page.
--
-- By votes or rank, all of the authors' posts are read if they are less than `few`. Otherwise `far` posts of the list of
-- all are walked through, and if the page is not met there, all of the authors' posts are read after all.
create or replace function home_page(sort text, viewer bigint, hidden bigint[], drafts_of bigint, page_size bigint,
                                     skipped bigint, cursor_key text, cursor_id bigint, near bigint, far bigint)
returns table (id bigint, key text)
language plpgsql stable rows 20 set search_path from current
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set max_parallel_workers_per_gather = 0 as $$
#variable_conflict use_column
declare
  wanted constant bigint := skipped + page_size;
  from_id constant bigint := coalesce(cursor_id, 9223372036854775807);
  from_time timestamptz;
  column_of constant text := case sort when 'top' then 't.votes' else 't.hot' end;
  from_key constant text := case sort when 'top' then format('%L::integer', coalesce(cursor_key, '2147483647'))
                                 else format('%L::double precision', coalesce(cursor_key, 'infinity')) end;
  few constant bigint := greatest(far / 10, 1);
  authors bigint[];
  own bigint[];
  ids bigint[];
  keys text[];
  passed bigint;
  found bigint;
  newest timestamptz;
  reached timestamptz;
  since timestamptz;
begin
  if sort = 'new' then
    from_time := coalesce(cursor_key::timestamptz, 'infinity');
    select array_agg(m.id order by m.place) filter (where m.hit),
      array_agg(m.key::text order by m.place) filter (where m.hit), max(m.place), min(m.key)
    into ids, keys, passed, reached
    from (
      select w.id, w.key, w.hit, w.place
      from (
        select p.id, p.listed_at as key, row_number() over (order by p.listed_at desc, p.id desc) as place,
          (p.published or p.owner_id = drafts_of) and p.owner_id <> all (hidden)
            and (p.owner_id = viewer or (
              select true from stream_relations f
              where f.user_id = viewer and f.kind = 'follow' and f.target_id = p.owner_id
            )) as hit
        from posts p where p.parent_id is null and (p.listed_at, p.id) < (from_time, from_id)
        order by p.listed_at desc, p.id desc limit near
      ) w
      where w.hit or w.place = near limit wanted
    ) m;
    if cardinality(ids) >= wanted or coalesce(passed, 0) < near then
      return query select * from unnest(ids[skipped + 1 : wanted], keys[skipped + 1 : wanted]);
      return;
    end if;
  end if;

  authors := array(
    select viewer union all
    select f.target_id from stream_relations f
    where f.user_id = viewer and f.kind = 'follow' and f.target_id not in (select unnest(hidden))
  );
  if sort = 'new' then
    if cardinality(ids) * cardinality(authors) > wanted * near then
      select array_agg(m.id order by m.place) filter (where m.hit),
        array_agg(m.key::text order by m.place) filter (where m.hit), max(m.place)
      into ids, keys, passed
      from (
        select w.id, w.key, w.hit, w.place
        from (
          select p.id, p.listed_at as key, row_number() over (order by p.listed_at desc, p.id desc) as place,
            (p.published or p.owner_id = drafts_of) and p.owner_id in (select unnest(authors)) as hit
          from posts p where p.parent_id is null and (p.listed_at, p.id) < (from_time, from_id)
          order by p.listed_at desc, p.id desc limit far
        ) w
        where w.hit or w.place = far limit wanted
      ) m;
      if cardinality(ids) >= wanted or coalesce(passed, 0) < far then
        return query select * from unnest(ids[skipped + 1 : wanted], keys[skipped + 1 : wanted]);
        return;
      end if;
    end if;
    select p.listed_at into newest from posts p
    where p.parent_id is null and (p.listed_at, p.id) < (from_time, from_id)
    order by p.listed_at desc, p.id desc limit 1;
    since := to_timestamp(greatest(0, extract(epoch from reached) - extract(epoch from newest - reached)
      * 2 * wanted / greatest(coalesce(cardinality(ids), 0), 0.5)));
    foreach since in array
      case when ids is null then array['-infinity', since] else array[since, '-infinity'] end
    loop
      select array_agg(m.id order by m.listed_at desc, m.id desc),
        array_agg(m.listed_at::text order by m.listed_at desc, m.id desc), max(m.found)
      into ids, keys, found
      from (
        select c.id, c.listed_at, count(*) over () as found
        from (
          select p.id, p.listed_at from posts p
          where p.owner_id = any (authors) and p.listed_at >= since and (p.listed_at, p.id) < (from_time, from_id)
            and (p.published or p.owner_id = drafts_of) and p.parent_id is null
          limit few
        ) c
        order by c.listed_at desc, c.id desc limit wanted
      ) m;
      if coalesce(found, 0) < few and (since = '-infinity' or found >= wanted) then
        return query select * from unnest(ids[skipped + 1 : wanted], keys[skipped + 1 : wanted]);
        return;
      end if;
    end loop;
  else
    own := array(select p.id from posts p where p.owner_id = any (authors) and p.parent_id is null limit few);
    if cardinality(own) = few then
      execute format(
        'select array_agg(m.id order by m.place) filter (where m.hit),
           array_agg(m.key::text order by m.place) filter (where m.hit), max(m.place)
         from (
           select w.id, w.key, w.hit, w.place
           from (
             select p.id, %1$s as key, row_number() over (order by %1$s desc, t.post_id desc) as place,
               (p.published or p.owner_id = $2) and p.owner_id in (select unnest($1)) as hit
             from post_tallies t join posts p on p.id = t.post_id
             where t.root_id is null and (%1$s, t.post_id) < (%2$s, $3)
             order by %1$s desc, t.post_id desc limit $4
           ) w
           where w.hit or w.place = $4 limit $5
         ) m', column_of, from_key)
      into ids, keys, passed using authors, drafts_of, from_id, far, wanted;
      if cardinality(ids) >= wanted or coalesce(passed, 0) < far then
        return query select * from unnest(ids[skipped + 1 : wanted], keys[skipped + 1 : wanted]);
        return;
      end if;
      own := array(select p.id from posts p where p.owner_id = any (authors) and p.parent_id is null);
    end if;
    return query execute format(
      'select t.post_id, %1$s::text
       from unnest($1) as c (id) join posts p on p.id = c.id join post_tallies t on t.post_id = c.id
       where (p.published or p.owner_id = $2) and (%1$s, t.post_id) < (%2$s, $3)
       order by %1$s desc, t.post_id desc limit $4 offset $5', column_of, from_key)
    using own, drafts_of, from_id, page_size, skipped;
    return;
  end if;

  return query
  with newest as materialized (
    select a.author
    from unnest(authors) as a (author) cross join lateral (
      select p.id, p.listed_at from posts p
      where p.owner_id = a.author and (p.listed_at, p.id) < (from_time, from_id)
        and (p.published or p.owner_id = drafts_of) and p.parent_id is null
      order by p.listed_at desc, p.id desc limit 1
    ) n
    order by n.listed_at desc, n.id desc limit wanted
  )
  select m.id, m.listed_at::text
  from newest n cross join lateral (
    select p.id, p.listed_at from posts p
    where p.owner_id = n.author and (p.listed_at, p.id) < (from_time, from_id)
      and (p.published or p.owner_id = drafts_of) and p.parent_id is null
    order by p.listed_at desc, p.id desc limit wanted
  ) m
  order by m.listed_at desc, m.id desc limit page_size offset skipped;
end
$$;
