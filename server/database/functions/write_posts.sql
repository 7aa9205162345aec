-- version 12 sha256:77b0bd9af3abdf7f
-- Writes many posts at once, each with its tally, its event and the record of its idempotency key.
--
-- Events and answers are made by the service, with stand-ins for the three things that only the database knows of a new
-- post: its id, the moment (as in JSON, without quotes) and its owner's name (with quotes).
--
-- The owners are locked first, as everywhere: a rename waits, or is waited for, so the name in the event is the
-- owner's. Without patience, posts whose owners somebody else has locked are given back with no id. Of an owner who is
-- gone and of a key that is taken there is no row, and nothing is written. A key is claimed before its post: another
-- claim at the same moment, in another call or in this one, waits and then gets none.
--
-- `tags` has those of each post, a line each, and `mentions` whom it mentions as JSON, or null. All who are `mentioned`
-- are locked with the owners. Without patience, a post that mentions somebody whom somebody else has locked is given
-- back with no id, and in any case one that mentions an account that has just been deleted: its text is to be read
-- again. One that mentions somebody who blocks its owner, or whom the owner blocks, is given back as `blocked`, and
-- nothing is written of it.
--
-- `parents` says what a post replies to; null for one that is no reply. Both that and the first post of the thread are
-- locked behind the owners, so that neither is deleted, withdrawn or closed to replies meanwhile. A reply whose thread is
-- not public or is locked, whose parent has been deleted, or that a block forbids is given back as `refused`, and
-- nothing is written of it. All posts above a reply count it. Those counts are changed when no key is waited for any more, in the order in which
-- everyone locks tallies. Whom the posts answer or mention are notified.
create or replace function write_posts(owners bigint[], titles text[], contents text[], publish boolean[], events text[],
                                       answers text[], stand_ins text[], keys text[], requests bytea[], patient boolean,
                                       search_texts text[], search_keys text[], words text[], fold smallint,
                                       parents bigint[], tags text[], mentions text[], mentioned bigint[])
returns table (ord integer, id bigint, username text, created_at timestamptz, refused boolean, blocked boolean)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  moment text := to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  wanted constant bigint[] := array(select distinct w.id from unnest(parents) as w (id) where w.id is not null);
  threads bigint[] := '{}';
  free bigint[];
  free_threads bigint[] := '{}';
  open_parents bigint[] := '{}';
  held bigint[] := '{}';
  barred bigint[] := '{}';
  accepted bigint[];
  written_ords bigint[];
  written_ids bigint[];
  written_names text[];
  told text;
begin
  if patient then
    free := array(select u.id from users u where u.id = any (owners || mentioned) order by u.id for key share);
  else
    perform set_config('lock_timeout', '100ms', true);
    free := array(
      select u.id from users u where u.id = any (owners || mentioned) order by u.id for key share skip locked);
  end if;
  if mentioned <> '{}' then
    select coalesce(array_agg(m.ord) filter (where not exists (
        select from users u where u.id = m.id and u.id = any (free) and u.deleted_at is null)), '{}'),
      coalesce(array_agg(m.ord) filter (where exists (
        select from relations b
        where b.kind = 'block' and (b.user_id, b.target_id) in ((m.owner_id, m.id), (m.id, m.owner_id)))), '{}')
    into held, barred
    from (
      select a.ord, a.owner_id, (e ->> 'id')::bigint as id
      from unnest(owners, mentions) with ordinality as a (owner_id, mentions, ord), json_array_elements(a.mentions::json) e
    ) m;
  end if;
  if wanted <> '{}' then
    threads := array(
      select p.id from posts p where p.id = any (wanted)
      union
      select p.root_id from posts p where p.id = any (wanted) and p.root_id is not null);
    if patient then
      free_threads := array(select p.id from posts p where p.id = any (threads) order by p.id for key share);
    else
      free_threads := array(select p.id from posts p where p.id = any (threads) order by p.id for key share skip locked);
    end if;
    open_parents := array(
      select p.id from posts p join posts r on r.id = coalesce(p.root_id, p.id)
      where p.id = any (wanted) and p.id = any (free_threads) and r.id = any (free_threads)
        and p.deleted_at is null and r.published and r.deleted_at is null and r.locked_at is null);
  end if;
  -- A block locks the users that it is about: one that was committed before is seen.
  accepted := array(
    select a.ord from unnest(owners, parents) with ordinality as a (owner_id, parent_id, ord)
    where a.ord <> all (held || barred) and (a.parent_id is null or (a.parent_id = any (open_parents) and not exists (
      select from posts p join relations b
        on b.kind = 'block' and (
          (b.user_id = a.owner_id and b.target_id = p.owner_id) or (b.user_id = p.owner_id and b.target_id = a.owner_id))
      where p.id = a.parent_id))));

  perform add_search_words(words);
  with asked as materialized (
    select a.*, u.username, nextval('posts_id_seq') as id
    from unnest(owners, titles, contents, publish, events, answers, keys, requests, search_texts, search_keys, parents,
                tags, mentions)
      with ordinality
      as a (owner_id, title, content, published, event, answer, key, request, search_text, search_keys, parent_id, tags,
            mentions, ord)
    join users u on u.id = a.owner_id and u.deleted_at is null
    where a.owner_id = any (free) and a.ord = any (accepted)
    order by a.ord
  ), claimed as (
    insert into idempotency_keys (user_id, key, request_hash, post_id, answer)
    select s.owner_id, s.key, s.request, s.id, replace(replace(replace(s.answer,
      stand_ins[1], s.id::text), stand_ins[2], moment), stand_ins[3], to_json(s.username)::text)::json
    from asked s where s.key is not null
    order by s.owner_id, s.key, s.ord
    on conflict do nothing
    returning post_id
  ), written as (
    insert into posts (id, owner_id, title, content, published, search_text, search_keys, search_fold, parent_id, root_id,
                       ancestors, tags, mentions, parsed_at)
    select s.id, s.owner_id, s.title, s.content, s.published, s.search_text,
           array_to_tsvector(string_to_array(s.search_keys, chr(10))), fold, s.parent_id,
           case when s.parent_id is not null then coalesce(p.root_id, p.id) end,
           case when s.parent_id is not null then coalesce(p.ancestors, '{}') || p.id end,
           coalesce(string_to_array(s.tags, chr(10)), '{}'),
           case when s.tags is not null then coalesce(s.mentions::jsonb, '[]') end,
           case when s.tags is not null then now() end
    from asked s left join posts p on p.id = s.parent_id
    where s.key is null or s.id in (select c.post_id from claimed c)
    order by s.id
    returning id, root_id
  ), tallied as (
    insert into post_tallies (post_id, root_id, hot) select w.id, w.root_id, hot_rank(0, now()) from written w
  )
  select array_agg(s.ord order by s.id), array_agg(s.id order by s.id), array_agg(s.username order by s.id),
    string_agg(replace(replace(replace(s.event, stand_ins[1], s.id::text), stand_ins[2], moment),
      stand_ins[3], to_json(s.username)::text), ',' order by s.id)
  into written_ords, written_ids, written_names, told
  from asked s join written w on w.id = s.id;
  if wanted <> '{}' then
    perform count_replies(written_ids, 1);
  end if;
  if told is not null then
    perform append_events(('[' || told || ']')::json);
  end if;
  if wanted <> '{}' or mentioned <> '{}' then
    perform notify_of_posts(written_ids, null, '{}');
  end if;

  return query
  select w.ord::integer, w.id, w.username, now(), false, false
  from unnest(written_ords, written_ids, written_names) as w (ord, id, username)
  union all
  select a.ord::integer, null, null, null, a.parent_id is not null and a.owner_id = any (free)
    and a.ord <> all (held || barred) and not exists (select from posts p
                    where p.id = a.parent_id and (p.id <> all (free_threads) or p.root_id <> all (free_threads))),
    a.owner_id = any (free) and a.ord = any (barred) and a.ord <> all (held)
  from unnest(owners, parents) with ordinality as a (owner_id, parent_id, ord) join users u on u.id = a.owner_id
  where a.owner_id <> all (free) or a.ord <> all (accepted);
end
$$;

-- What nodes of the version before call: without replies.
create or replace function write_posts(owners bigint[], titles text[], contents text[], publish boolean[], events text[],
                                       answers text[], stand_ins text[], keys text[], requests bytea[], patient boolean,
                                       search_texts text[], search_keys text[], words text[], fold smallint)
returns table (ord integer, id bigint, username text, created_at timestamptz)
language sql set search_path from current as $$
  select w.ord, w.id, w.username, w.created_at
  from write_posts(owners, titles, contents, publish, events, answers, stand_ins, keys, requests, patient, search_texts,
                   search_keys, words, fold, null::bigint[], null::text[], null::text[], '{}') w
$$;

-- What nodes of a version before that call: with n-grams, which nothing reads any more. The keys of their posts the
-- index makes, and the words a trigger adds.
create or replace function write_posts(owners bigint[], titles text[], contents text[], publish boolean[], events text[],
                                       answers text[], stand_ins text[], keys text[], requests bytea[], patient boolean,
                                       search_texts text[], search_grams text[], fold smallint)
returns table (ord integer, id bigint, username text, created_at timestamptz)
language sql set search_path from current as $$
  select w.ord, w.id, w.username, w.created_at
  from write_posts(owners, titles, contents, publish, events, answers, stand_ins, keys, requests, patient, search_texts,
                   null::text[], null::text[], fold, null::bigint[], null::text[], null::text[], '{}') w
$$;
