-- version 1 sha256:121a52581e6ef9fb
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
