-- version 2 sha256:89a0e366128f3358
-- A notification, as lists and events show it.
create or replace function notification_json(id bigint, kind text, actor_id bigint, actor_name text, post_id bigint,
                                             thread_id bigint, people integer, rev bigint, happened_at timestamptz,
                                             read_at timestamptz)
returns json language sql stable as $$
  select json_build_object('id', id, 'kind', kind,
    'actor', case when actor_id is not null
      then json_build_object('id', actor_id, 'username', coalesce(actor_name, '')) end,
    'post_id', post_id, 'thread_id', thread_id, 'people', people, 'rev', rev,
    'at', to_char(happened_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'read', read_at is not null)
$$;

-- With what a moderator did and why, which others do not have.
create or replace function notification_json(id bigint, kind text, actor_id bigint, actor_name text, post_id bigint,
                                             thread_id bigint, people integer, rev bigint, happened_at timestamptz,
                                             read_at timestamptz, act text, reason text)
returns json language sql stable set search_path from current as $$
  select case when act is null then told.view
    else (told.view::jsonb || jsonb_build_object('act', act)
      || case when reason is null then '{}' else jsonb_build_object('reason', reason) end)::json end
  from (
    select notification_json(id, kind, actor_id, actor_name, post_id, thread_id, people, rev, happened_at, read_at) as view
  ) told
$$;
