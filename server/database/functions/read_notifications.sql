-- version 1 sha256:fb1f90c5669a737c
-- Marks as read what a reader has seen: notifications up to a `rev`. What was added or renewed later has a higher one.
-- Gives back what is unread then, and whether something has changed.
create or replace function read_notifications(reader bigint, up_to bigint)
returns table (unread integer, rev bigint, changed boolean)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  seen bigint;
begin
  select least(s.rev, up_to) into seen from notification_states s where s.user_id = reader for update;
  update notifications n set read_at = now() where n.user_id = reader and n.rev <= seen and n.read_at is null;
  changed := found;
  if changed then
    perform append_events(json_build_array(json_build_object('name', 'notification:read',
      'entity_type', 'notifications', 'entity_id', reader, 'audience', 'user:' || reader,
      'topics', array['user:' || reader], 'supersedes', 'nothing', 'redaction', '{}'::text[],
      'data', json_build_object('up_to', seen))));
    perform tell_notification_state(array[reader]);
  end if;
  unread := unread_notifications(reader);
  rev := coalesce((select s.rev from notification_states s where s.user_id = reader), 0);
  return next;
end
$$;
