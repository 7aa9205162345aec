-- version 1 sha256:c42bf8e3c44d130e
-- Tells users whose states are locked how many notifications they have not read, under the next `rev`.
create or replace function tell_notification_state(users bigint[]) returns void
language plpgsql set search_path from current as $$
begin
  update notification_states s set rev = s.rev + 1 where s.user_id = any (users);
  perform append_events((
    select json_agg(json_build_object('name', 'notifications:state', 'entity_type', 'notifications',
      'entity_id', s.user_id, 'audience', 'user:' || s.user_id, 'topics', array['user:' || s.user_id],
      'supersedes', 'nothing', 'redaction', '{}'::text[],
      'data', json_build_object('unread', unread_notifications(s.user_id), 'rev', s.rev)) order by s.user_id)
    from notification_states s where s.user_id = any (users)
  ));
end
$$;
