-- version 1 sha256:64dacfaff5e7e6dd
-- Takes away those of these notifications, by user and group key, that wait for `purge_notifications`: their users, whose
-- states are locked, are notified anew, since the thread is back, and what they are told of now would go with the old
-- ones. Gives back which, for `tell_notifications`.
create or replace function forget_hidden_notifications(readers bigint[], group_keys text[])
returns table (id bigint, user_id bigint)
language sql set search_path from current as $$
  delete from notifications n
  using unnest(readers, group_keys) as k (user_id, group_key), notification_removals r
  where n.user_id = k.user_id and n.group_key = k.group_key and n.kind <> 'moderation'
    and r.thread_id = n.thread_id and n.id <= r.up_to_id
  returning n.id, n.user_id
$$;
