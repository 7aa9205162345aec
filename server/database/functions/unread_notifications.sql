-- version 1 sha256:c9c55f4cad700cc8
-- How many of the notifications that a user's list shows are unread.
create or replace function unread_notifications(reader bigint) returns integer
language sql stable set search_path from current as $$
  select count(*)::integer from shown_notifications n where n.user_id = reader and n.read_at is null
$$;
