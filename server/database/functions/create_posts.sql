-- version 1 sha256:8eb464f4ac7d3a4c
-- What nodes of the version before call in place of `write_posts`. The JSON of the event and of the answer is that
-- version's.
drop function if exists create_posts(bigint[], text[], text[], boolean[], text[], text[], bytea[], boolean);

create or replace function create_posts(owners bigint[], titles text[], contents text[], publish boolean[], encoded text[],
                                        keys text[], requests bytea[], patient boolean, search_texts text[],
                                        search_grams text[], fold smallint)
returns table (ord integer, id bigint, username text, created_at timestamptz)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  moment text := to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  free bigint[];
begin
  if patient then
    free := array(select u.id from users u where u.id = any (owners) order by u.id for key share);
  else
    perform set_config('lock_timeout', '100ms', true);
    free := array(select u.id from users u where u.id = any (owners) order by u.id for key share skip locked);
  end if;

  return query
  with asked as materialized (
    select a.*, u.username, nextval('posts_id_seq') as id
    from unnest(owners, titles, contents, publish, encoded, keys, requests, search_texts, search_grams)
      with ordinality
      as a (owner_id, title, content, published, encoded, key, request, search_text, search_grams, ord)
    join users u on u.id = a.owner_id
    where a.owner_id = any (free)
    order by a.ord
  ), shown as materialized (
    select a.*,
           '{"id":' || a.id || ',' || a.encoded || ',"created_at":"' || moment ||
           '","published_at":' || coalesce('"' || case when a.published then moment end || '"', 'null') ||
           ',"updated_at":"' || moment ||
           '","version":1,"owner_id":' || a.owner_id || ',"owner":{"id":' || a.owner_id || ',"username":' ||
           to_json(a.username)::text || '},"votes":0,"rev":0' as view
    from asked a
  ), claimed as (
    insert into idempotency_keys (user_id, key, request_hash, post_id, answer)
    select s.owner_id, s.key, s.request, s.id, (s.view || ',"voted":false}')::json
    from shown s where s.key is not null
    order by s.owner_id, s.key, s.ord
    on conflict do nothing
    returning post_id
  ), written as (
    insert into posts (id, owner_id, title, content, published, search_text, search_grams, search_fold)
    select s.id, s.owner_id, s.title, s.content, s.published, s.search_text,
           array_to_tsvector(string_to_array(s.search_grams, ' ')), fold
    from shown s where s.key is null or s.id in (select c.post_id from claimed c)
    order by s.id
    returning id
  ), tallied as (
    insert into post_tallies (post_id, hot) select w.id, hot_rank(0, now()) from written w
  ), told as (
    insert into outbox (name, post_id, data)
    select 'post:created', s.id, (s.view || '}')::json
    from shown s join written w on w.id = s.id where s.published
    order by s.id
  )
  select s.ord::integer, s.id, s.username, now() from shown s join written w on w.id = s.id
  union all
  select a.ord::integer, null, null, null
  from unnest(owners) with ordinality as a (owner_id, ord) join users u on u.id = a.owner_id
  where a.owner_id <> all (free);
end
$$;
