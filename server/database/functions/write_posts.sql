-- version 3 sha256:f6d7abce3fd17327
-- Writes many posts at once, each with its tally, its event and the record of its idempotency key.
--
-- Events and answers are made by the service, with stand-ins for the three things that only the database knows of a
-- new post: its id, the moment (as in JSON, without quotes) and its owner's name (with quotes).
--
-- The owners are locked first, as everywhere: a rename waits, or is waited for, so the name in the event is the
-- owner's. Without patience, posts whose owners somebody else has locked are given back with no id. Of an
-- owner who is gone and of a key that is taken there is no row, and nothing is written. A key is claimed before its
-- post: another claim at the same moment, in another call or in this one, waits and then gets none.
create or replace function write_posts(owners bigint[], titles text[], contents text[], publish boolean[], events text[],
                                       answers text[], stand_ins text[], keys text[], requests bytea[], patient boolean,
                                       search_texts text[], search_keys text[], words text[], fold smallint)
returns table (ord integer, id bigint, username text, created_at timestamptz)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  moment text := to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  free bigint[];
  written_ords bigint[];
  written_ids bigint[];
  written_names text[];
  told text;
begin
  if patient then
    free := array(select u.id from users u where u.id = any (owners) order by u.id for key share);
  else
    perform set_config('lock_timeout', '100ms', true);
    free := array(select u.id from users u where u.id = any (owners) order by u.id for key share skip locked);
  end if;

  perform add_search_words(words);
  with asked as materialized (
    select a.*, u.username, nextval('posts_id_seq') as id
    from unnest(owners, titles, contents, publish, events, answers, keys, requests, search_texts, search_keys)
      with ordinality
      as a (owner_id, title, content, published, event, answer, key, request, search_text, search_keys, ord)
    join users u on u.id = a.owner_id
    where a.owner_id = any (free)
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
    insert into posts (id, owner_id, title, content, published, search_text, search_keys, search_fold)
    select s.id, s.owner_id, s.title, s.content, s.published, s.search_text,
           array_to_tsvector(string_to_array(s.search_keys, chr(10))), fold
    from asked s where s.key is null or s.id in (select c.post_id from claimed c)
    order by s.id
    returning id
  ), tallied as (
    insert into post_tallies (post_id, hot) select w.id, hot_rank(0, now()) from written w
  )
  select array_agg(s.ord order by s.id), array_agg(s.id order by s.id), array_agg(s.username order by s.id),
    string_agg(replace(replace(replace(s.event, stand_ins[1], s.id::text), stand_ins[2], moment),
      stand_ins[3], to_json(s.username)::text), ',' order by s.id)
  into written_ords, written_ids, written_names, told
  from asked s join written w on w.id = s.id;
  if told is not null then
    perform append_events(('[' || told || ']')::json);
  end if;

  return query
  select w.ord::integer, w.id, w.username, now()
  from unnest(written_ords, written_ids, written_names) as w (ord, id, username)
  union all
  select a.ord::integer, null, null, null
  from unnest(owners) with ordinality as a (owner_id, ord) join users u on u.id = a.owner_id
  where a.owner_id <> all (free);
end
$$;

-- What nodes of the version before call: with n-grams, which nothing reads any more. The keys of their posts the index
-- makes, and the words a trigger adds.
create or replace function write_posts(owners bigint[], titles text[], contents text[], publish boolean[], events text[],
                                       answers text[], stand_ins text[], keys text[], requests bytea[], patient boolean,
                                       search_texts text[], search_grams text[], fold smallint)
returns table (ord integer, id bigint, username text, created_at timestamptz)
language sql set search_path from current as $$
  select w.ord, w.id, w.username, w.created_at
  from write_posts(owners, titles, contents, publish, events, answers, stand_ins, keys, requests, patient, search_texts,
                   null::text[], null::text[], fold) w
$$;
