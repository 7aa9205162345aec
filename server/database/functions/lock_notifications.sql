-- version 2 sha256:50673ed1db26b134
-- Locks the states of these users until the end of the transaction. Each change of a user's notifications is made
-- under this lock, so `rev` says in which order they were committed. Every transaction locks rows in the order users, posts,
-- tallies, states, and each kind by id.
create or replace function lock_notifications(users bigint[]) returns void
language plpgsql set search_path from current as $$
begin
  insert into notification_states (user_id)
  select distinct u.id from unnest(users) as u (id)
  where not exists (select from notification_states s where s.user_id = u.id)
  order by u.id
  on conflict do nothing;
  perform 1 from notification_states s where s.user_id = any (users) order by s.user_id for update;
end
$$;
